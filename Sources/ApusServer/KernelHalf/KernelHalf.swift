import BPF
import Contract
import Logging
import ServiceLifecycle

/// The kernel part and all that feeds it: the object store and who fills it, the watcher of file changes with the
/// heartbeat, the reader of misses, the links to interfaces.
final class KernelHalf: Service {
  let part: KernelPart
  let store: ObjectStore
  let filler: Filler
  let attachment: Attachment
  private let heartbeat: Heartbeat
  private let watcher: ChangeWatcher
  private let reader: MissReader
  private let logger: Logger

  /// How often addresses and interfaces are looked at.
  private static let refreshPeriod = Duration.seconds(1)
  /// How long, on a clean stop, connections of the kernel part have to come with a request to be handed over.
  private static let drainGrace_ms = 2000
  private static let drainStep = Duration.milliseconds(50)

  /// Objects of a server behind that are learned at a time: one answer that does not come holds up no others.
  private static let backendThreads = 4

  /// Loads the kernel part; nothing is attached yet.
  ///
  /// - Parameter admission: who may be composed; `nil`: whatever is asked for.
  init(_ options: ServeOptions, origin: any Origin, admission: Admission? = nil, logger: Logger) throws {
    part = try KernelPart(arenaBytes: options.cacheBytes, isLogged: options.accessLog != nil)
    store = ObjectStore(memory: part.storeMemory, pathSeed: part.pathSeed)
    let expiry = ExpirySchedule(store: store)
    heartbeat = Heartbeat(store: store, expiry: expiry) { [control = part.control] in control.beat($0) }
    watcher = try ChangeWatcher(store: store, logger: logger) { [heartbeat] in heartbeat.beat($0) }
    var limits = FillerLimits()
    if options.backend != nil { limits.threads = Self.backendThreads }
    filler = Filler(
      store: store, watcher: watcher, origin: origin, limits: limits, admission: admission, expiry: expiry,
      logger: logger)
    reader = MissReader(part: part, sites: SiteRegistry(part: part, logger: logger)) { [filler] in filler.miss($0) }
    self.logger = logger
    attachment = try Attachment(part: part, options: options, logger: logger)
  }

  /// Begins to answer.
  func start() throws {
    // Nothing is stored yet, so nothing can be stale: the first requests need not wait for the watcher's thread.
    part.control.beat(MonotonicClock.now_ns())
    watcher.start()
    filler.start()
    reader.start()
    do {
      let remarks = attachment.remarks()
      try attachment.attach()
      for remark in remarks { logger.warning("\(remark.text)\(remark.remedy.map { "; " + $0 } ?? "")") }
    } catch {
      stop()
      throw error
    }
  }

  /// Answers by other options, those that can change while it answers. When it returns nothing composed by the old ones
  /// is answered any more.
  func take(_ options: ServeOptions, origin: any Origin) throws {
    try attachment.take(options)
    filler.take(origin)
  }

  /// Keeps the attachment as the machine's interfaces are, until it shall stop.
  func run() async throws {
    try? await cancelWhenGracefulShutdown {
      while true {
        try await Task.sleep(for: Self.refreshPeriod)
        self.attachment.refresh()
        self.filler.renew(self.heartbeat.takeRenewals())
      }
    }
    await drain()
    stop()
  }

  /// A clean stop: no new connections; those that are open are handed over with their next request.
  private func drain() async {
    part.control.drain()
    for _ in 0..<Self.drainGrace_ms / 50 {
      guard let open = try? part.openConnections(), open > 0 else { break }
      try? await Task.sleep(for: Self.drainStep)
    }
  }

  /// Detaches at once, and ends the threads.
  func stop() {
    attachment.detach()
    reader.stop()
    filler.stop()
    watcher.stop()
  }
}
