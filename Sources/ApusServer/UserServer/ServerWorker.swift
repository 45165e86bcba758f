import Glibc
import Logging
import NIOCore
import Synchronization

/// A connection, or what stands for one, that a worker looks at and ends.
protocol ServedConnection: AnyObject {
  /// Once a second: is it getting on?
  func look()
  /// Seconds since it last had something to do; `nil`: it has.
  var idle_s: Int? { get }
  /// The server shuts down, or needs the place: ends as soon as what has been asked is answered.
  func closeIfIdle()
  /// Ends whatever its state.
  func abort()
}

/// What connections of one event loop share. Used on that event loop only.
final class ServerWorker {
  private(set) var configuration: UserServerConfiguration
  let counters: Counters
  /// Shared by all event loops.
  private(set) var rates: RequestRateLimiter?
  var files: FileStore
  var date = DateCache()
  /// Where answers are collected before they are written. Connections use it in turn, each until it flushes.
  var output: ByteBuffer
  /// What connections are read into as they are accepted.
  var received: ByteBuffer
  /// Whether the server is shutting down: the next answer is the last of its connection.
  private(set) var isDraining = false
  /// Seconds since the worker began, as far as timeouts need to know.
  private(set) var tick = 0
  private var connections: [ObjectIdentifier: any ServedConnection] = [:]
  /// Connections to the server behind, where there is one.
  private(set) var upstream: UpstreamPool?
  let filesComeFirst: Bool
  /// How many there are, among which memory and descriptors are divided.
  private let workers: Int
  /// Of the connections of all event loops.
  private let limit: ConnectionLimit
  /// Where answers are logged, if they are.
  let accessLog: AccessLog?
  private var ticking: RepeatedTask?

  /// Counted by one event loop, read by anybody.
  final class Counters: Sendable {
    let requests = Atomic<Int>(0)
  }

  init(
    sites: Sites, configuration: UserServerConfiguration, rates: RequestRateLimiter?, counters: Counters,
    workers: Int, limit: ConnectionLimit, upstream: UpstreamPool? = nil, filesComeFirst: Bool = true,
    accessLog: AccessLog? = nil
  ) {
    self.accessLog = accessLog
    self.upstream = upstream
    self.filesComeFirst = filesComeFirst
    self.configuration = configuration
    self.counters = counters
    self.rates = rates
    self.workers = workers
    self.limit = limit
    files = Self.files(of: sites, configuration, workers: workers)
    output = ByteBufferAllocator().buffer(capacity: ServerLimits.outputBytesMax)
    received = ByteBufferAllocator().buffer(capacity: ServerLimits.readBytes)
  }

  /// Answers the next request of every connection from other settings. What is being answered is answered to its end
  /// as it was begun.
  func take(
    sites: Sites, configuration: UserServerConfiguration, rates: RequestRateLimiter?, upstream: UpstreamPool?
  ) {
    self.configuration = configuration
    self.rates = rates
    files = Self.files(of: sites, configuration, workers: workers)
    guard let upstream else { return }
    self.upstream?.closeIdle()
    self.upstream = upstream
  }

  private static func files(of sites: Sites, _ configuration: UserServerConfiguration, workers: Int) -> FileStore {
    FileStore(
      sites: sites, bytesMax: configuration.fileCacheBytesMax / workers,
      openFilesMax: max(1, ServerLimits.openFilesMax / workers))
  }

  var connectionCount: Int { connections.count }

  /// CLOCK_MONOTONIC, at most a tick behind.
  var now_ns: Int { QuietFiles.clock_ns(CLOCK_MONOTONIC_COARSE) }

  func add(_ connection: any ServedConnection, loop: EventLoop) {
    connections[ObjectIdentifier(connection)] = connection
    guard ticking == nil else { return }
    let bound = NIOLoopBound(self, eventLoop: loop)
    ticking = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in bound.value.look() }
  }

  func remove(_ connection: any ServedConnection) {
    connections[ObjectIdentifier(connection)] = nil
  }

  /// One look at every connection a second stands in for timers that would be set and cancelled for every request.
  private func look() {
    tick += 1
    if connections.isEmpty {
      // Not when the last one went: where they come one by one a timer would be set and cancelled for each.
      ticking?.cancel()
      ticking = nil
    }
    for connection in Array(connections.values) { connection.look() }
    if limit.isReached { makeRoom() }
    files.closeIdle(now_ns: now_ns)
  }

  /// Newcomers wait in the accept queue, and those kept open for a next request that may not come are in their way. RFC
  /// 9112 section 9.5 lets a server close them at any time; some a second go, the longest idle first.
  private func makeRoom() {
    let idle = connections.values.compactMap { connection in
      connection.idle_s.map { (connection: connection, idle_s: $0) }
    }
    let count = max(1, connections.count / ServerLimits.idleShareClosedAtLimit)
    for (connection, idle_s) in idle.sorted(by: { $0.idle_s > $1.idle_s }).prefix(count) where idle_s >= 1 {
      connection.closeIfIdle()
    }
  }

  /// From now on answers say `Connection: close`; idle connections are closed.
  func drain() {
    isDraining = true
    for connection in Array(connections.values) { connection.closeIfIdle() }
    upstream?.closeIdle()
  }

  func closeAll() {
    for connection in Array(connections.values) { connection.abort() }
  }
}
