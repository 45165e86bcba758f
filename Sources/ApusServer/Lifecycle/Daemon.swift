import Contract
import Glibc
import Logging
import Synchronization

/// A running daemon, as its admin socket shows it.
final class Daemon: AdminHandler {
  let halves: Halves
  let logger: Logger
  /// The options as they were taken last; locked as long as others are being taken.
  let reloading: Mutex<ServeOptions>
  let loadOptions: @Sendable () throws -> ServeOptions
  private let start_ns = MonotonicClock.now_ns()

  /// - Parameter subject: what the status says is served; `nil`: the directory of the options.
  init(
    options: ServeOptions, _ halves: Halves, subject: String? = nil, logger: Logger,
    reload: @escaping @Sendable () throws -> ServeOptions
  ) {
    reloading = Mutex(options)
    self.halves = halves
    self.subject = subject
    self.logger = logger
    loadOptions = reload
  }

  private let subject: String?

  private var options: ServeOptions { reloading.withLock { $0 } }
  private var kernel: KernelHalf? { halves.kernel }
  private var mode: ServerStatus.Mode { kernel == nil ? .user : .kernel }

  /// `apus: serving DIR on http://ADDR:PORT (kernel mode: lo, eth0)`
  var readyLine: String {
    let options = options
    let secure = options.tls?.listen ?? []
    let places = (options.listen.map { "http://\($0)" } + secure.map { "https://\($0)" }).joined(separator: ", ")
    let mode =
      kernel.map { "kernel mode: " + $0.attachment.interfaces.joined(separator: ", ") }
      ?? "user mode: \(halves.userModeReason)"
    return "apus: serving \(options.directory) on \(places) (\(mode))"
  }
}

extension Daemon {
  func status() throws -> ServerStatus {
    let options = options
    return ServerStatus(
      mode: mode, reason: kernel == nil ? halves.userModeReason : nil,
      interfaces: kernel?.attachment.interfaces ?? [],
      listen: (options.listen + (options.tls?.listen ?? [])).map(\.description),
      directory: subject ?? options.directory, backend: options.backend?.description,
      uptime_s: Int((MonotonicClock.now_ns() - start_ns) / 1_000_000_000), kernel: try kernelStatus(),
      cache: cacheStatus, server: halves.front.status, accessLog: try accessLogStatus())
  }

  private func accessLogStatus() throws -> AccessLogStatus? {
    guard let log = halves.accessLog else { return nil }
    let lost = try kernel?.part.counts()[Int(Counter.accessEventsLost.rawValue)] ?? 0
    return log.status(lostInKernel: Int(lost))
  }

  private func kernelStatus() throws -> KernelStatus {
    guard let part = kernel?.part else { return KernelStatus(counters: [], connections: 0) }
    return KernelStatus(counters: try part.counts(), connections: try part.openConnections())
  }

  private var cacheStatus: CacheStatus {
    guard let statistics = kernel?.store.statistics else { return CacheStatus() }
    return CacheStatus(
      objects: statistics.objects, bytes: statistics.bytes, budget: statistics.budget,
      bytesUsed: statistics.arenaBytesUsed, insertions: statistics.insertions, evictions: statistics.evictions,
      refusals: statistics.refusals, invalidations: statistics.invalidations)
  }

  /// Effective when it returns: the kernel part does not answer with what was purged any more.
  func purge(_ what: Purge) throws -> Int {
    guard let filler = kernel?.filler else { return 0 }
    switch what {
    case .path(let path): return filler.purge(path: Array(path.utf8))
    case .prefix(let prefix): return filler.purge(prefix: Array(prefix.utf8))
    case .all: return filler.purgeAll()
    }
  }
}
