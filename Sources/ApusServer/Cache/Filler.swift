import Glibc
import Logging
import Synchronization

/// The limits of the filler.
struct FillerLimits: Sendable {
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
  /// Not admitted by a full store.
  var notAdmitted = 0
  /// Everything else: the origin failed, a name cannot be watched, the object breaks a limit.
  var failed = 0
}

/// Composes the objects that were missed, and stores them.
///
/// One thread of its own asks the origin: reading files and asking a server block.
final class Filler: Sendable {
  private let store: ObjectStore
  private let watcher: ChangeWatcher
  private let origin: any Origin
  private let queue: FillQueue
  private let limits: FillerLimits
  private let logger: Logger
  private let counts = Mutex(FillerStatistics())
  private let thread = Mutex<DedicatedThread?>(nil)

  init(
    store: ObjectStore, watcher: ChangeWatcher, origin: any Origin, limits: FillerLimits = FillerLimits(),
    logger: Logger = Logger(label: "apus.filler")
  ) {
    self.store = store
    self.watcher = watcher
    self.origin = origin
    self.limits = limits
    self.logger = logger
    queue = FillQueue(limits: limits)
  }

  func start() {
    thread.withLock { thread in
      precondition(thread == nil, "a filler is started once")
      thread = DedicatedThread(name: "apus-fill") {
        while let fill = self.queue.next() { self.compose(fill) }
      }
    }
  }

  /// Returns when the object at work is done with; the origin's own timeouts bound that.
  func stop() {
    queue.stop()
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  var statistics: FillerStatistics { counts.withLock { $0 } }

  /// A request found no object. Returns at once; the object is composed later or not at all.
  func miss(_ request: ObjectRequest) {
    count(\.misses)
    guard store.noteMiss(request.key) else { return count(\.notAdmitted) }
    switch queue.offer(request) {
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

  // MARK: Composing

  private func compose(_ fill: Fill) {
    let ticket = store.begin(fill.request.key)
    do {
      let object = try origin.compose(fill.request) { try watcher.watch($0, for: ticket) }
      try commit(ticket, object)
      count(\.stored)
      queue.finish(fill)
    } catch {
      store.abandon(ticket)
      settle(fill, error)
    }
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
    case OriginRefusal.notStorable(let reason): refuse(fill, \.notStorable, reason)
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
