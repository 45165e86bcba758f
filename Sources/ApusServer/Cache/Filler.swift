import Glibc
import Logging
import Synchronization

/// The limits of the filler.
struct FillerLimits: Sendable {
  /// Objects composed at a time. A file is read in no time, a server may take its time for one answer while others
  /// wait.
  var threads = 1
  /// Objects that wait to be composed; further misses are dropped and counted. The next miss asks again.
  var waitingMax = 1024
  /// Objects tried again later.
  var delayedMax = 256
  /// Tries for one object before it counts as refused.
  var attemptsMax = 10
  /// How long a refused object is not asked for again.
  var refused_ms = 1000
  /// Refused objects that are remembered.
  var refusedMax = 4096
  /// Waits for the quarantine of room made for one object.
  var roomWaitsMax = 4
}

/// What the filler counted since its start.
struct FillerStatistics: Sendable, Equatable {
  var misses = 0
  /// Misses of objects that were being composed already, or refused moments ago.
  var deduplicated = 0
  /// Misses dropped because too many objects waited.
  var dropped = 0
  var stored = 0
  /// Tries put off: the file was not quiet, or changed meanwhile.
  var putOff = 0
  /// Not worth storing, by the origin's word.
  var notStorable = 0
  /// Asked for once, and not again for a while.
  var seenOnce = 0
  /// Stored objects that were stored anew before their end.
  var renewed = 0
  /// Not admitted by a full store.
  var notAdmitted = 0
  /// Everything else: the origin failed, a name cannot be watched, the object breaks a limit.
  var failed = 0
}

/// Composes the objects that were missed, and stores them.
///
/// Threads of its own ask the origin: reading files and asking a server block.
final class Filler: Sendable {
  private let store: ObjectStore
  private let watcher: ChangeWatcher
  private let origin: Mutex<any Origin>
  private let queue: FillQueue
  private let limits: FillerLimits
  private let logger: Logger
  private let admission: Admission?
  private let expiry: ExpirySchedule?
  private let counts = Mutex(FillerStatistics())
  private let threads = Mutex<[DedicatedThread]>([])

  /// - Parameters:
  ///   - admission: who may be composed; `nil`: whatever is asked for.
  ///   - expiry: told the ends of what is stored; `nil` for an origin whose objects have none.
  init(
    store: ObjectStore, watcher: ChangeWatcher, origin: any Origin, limits: FillerLimits = FillerLimits(),
    admission: Admission? = nil, expiry: ExpirySchedule? = nil, logger: Logger = Logger(label: "apus.filler")
  ) {
    self.admission = admission
    self.expiry = expiry
    self.store = store
    self.watcher = watcher
    self.origin = Mutex(origin)
    self.limits = limits
    self.logger = logger
    queue = FillQueue(limits: limits)
  }

  func start() {
    threads.withLock { threads in
      precondition(threads.isEmpty, "a filler is started once")
      for _ in 0..<limits.threads {
        threads.append(
          DedicatedThread(name: "apus-fill") {
            while let fill = self.queue.next() { self.compose(fill) }
          })
      }
    }
  }

  /// Returns when the objects at work are done with; the origin's own timeouts bound that.
  func stop() {
    threads.withLock { threads in
      queue.stop(threads: threads.count)
      for thread in threads { thread.join() }
      threads = []
    }
  }

  var statistics: FillerStatistics { counts.withLock { $0 } }

  /// A request found no object. Returns at once; the object is composed later or not at all.
  func miss(_ request: ObjectRequest) {
    count(\.misses)
    guard store.noteMiss(request.key) else { return count(\.notAdmitted) }
    if let admission, !admission.admits(request.key) { return count(\.seenOnce) }
    offer(request, isRenewal: false)
  }

  /// Asks for stored objects anew. Returns at once.
  func renew(_ requests: [ObjectRequest]) {
    for request in requests { offer(request, isRenewal: true) }
  }

  private func offer(_ request: ObjectRequest, isRenewal: Bool) {
    switch queue.offer(request, isRenewal: isRenewal) {
    case .taken: break
    case .alreadyKnown, .refusedRecently: count(\.deduplicated)
    case .full: count(\.dropped)
    }
  }

  // MARK: Purging

  /// Removes the objects of a path on every site. When it returns the kernel part no longer finds them, and nothing
  /// read before is stored afterwards.
  @discardableResult
  func purge(path: [UInt8]) -> Int {
    queue.forgetRefusals()
    return store.remove(path: path)
  }

  /// The same for all paths that begin so.
  @discardableResult
  func purge(prefix: [UInt8]) -> Int {
    queue.forgetRefusals()
    return store.remove(pathPrefix: prefix)
  }

  /// The same for everything.
  @discardableResult
  func purgeAll() -> Int {
    queue.forgetRefusals()
    return store.removeAll()
  }

  /// Composes by another origin from now on. When it returns nothing of the old one is answered any more, nor stored.
  func take(_ origin: any Origin) {
    self.origin.withLock { $0 = origin }
    // What an earlier ask of the old one brings is removed before it is stored: its ticket is void.
    purgeAll()
  }

  // MARK: Composing

  private func compose(_ fill: Fill) {
    let ticket = store.begin(fill.request.key)
    do {
      let object = try ask(fill, ticket)
      expiry?.prepare(fill.request, expires_ns: object.expires_ns)
      try commit(ticket, object)
      expiry?.confirm(fill.request, expires_ns: object.expires_ns)
      count(fill.isRenewal ? \.renewed : \.stored)
      queue.finish(fill)
    } catch {
      store.abandon(ticket)
      settle(fill, error)
    }
  }

  private func ask(_ fill: Fill, _ ticket: FillTicket) throws -> ComposedObject {
    let origin = origin.withLock { $0 }
    if fill.isRenewal, let stored = store.read(fill.request.key) {
      return try origin.renew(fill.request, stored: stored) { try watcher.watch($0, for: ticket) }
    }
    return try origin.compose(fill.request) { try watcher.watch($0, for: ticket) }
  }

  private func commit(_ ticket: FillTicket, _ object: ComposedObject) throws(StoreRefusal) {
    for _ in 0..<limits.roomWaitsMax {
      do throws(StoreRefusal) {
        return try store.commit(ticket, object)
      } catch {
        guard case .noRoomYet(let retryAfter_ms) = error else { throw error }
        usleep(UInt32(retryAfter_ms) * 1000)
      }
    }
    throw .notAdmitted
  }

  /// What becomes of a fill that was not stored.
  private func settle(_ fill: Fill, _ error: any Error) {
    switch error {
    case OriginRefusal.notQuiet(let retryAfter_ms): putOff(fill, after_ms: retryAfter_ms)
    case StoreRefusal.invalidated: putOff(fill, after_ms: ServerLimits.quiet_ms)
    case OriginRefusal.notStorable(let reason):
      // A newer answer, and not one to be kept: the older one is no longer what the server says.
      if fill.isRenewal { store.remove(fill.request.key) }
      refuse(fill, \.notStorable, reason)
    case StoreRefusal.notAdmitted: refuse(fill, \.notAdmitted, "the store is full")
    default: refuse(fill, \.failed, "\(error)")
    }
  }

  private func putOff(_ fill: Fill, after_ms: Int) {
    count(\.putOff)
    if !queue.retry(fill, after_ms: after_ms) { refuse(fill, \.failed, "the file does not come to rest") }
  }

  private func refuse(_ fill: Fill, _ counter: WritableKeyPath<FillerStatistics, Int>, _ reason: String) {
    count(counter)
    queue.refuse(fill)
    logger.debug(
      "not stored",
      metadata: ["path": "\(String(decoding: fill.request.key.path, as: UTF8.self))", "reason": "\(reason)"])
  }

  private func count(_ counter: WritableKeyPath<FillerStatistics, Int>) {
    counts.withLock { $0[keyPath: counter] += 1 }
  }
}
