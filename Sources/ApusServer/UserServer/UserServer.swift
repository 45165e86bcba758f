import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The user-mode half of Apus: answers from a document root what the kernel half hands over, or everything where there
/// is no kernel half.
///
/// A connection handed over by the kernel half needs nothing special: it appears in the accept queue of the listener
/// with its first request ready to be read.
final class UserServer: Service {
  private let group: MultiThreadedEventLoopGroup
  private let listeners: Listeners
  private let limit: ConnectionLimit
  private let gate: ClientGate
  private let configuration: Mutex<UserServerConfiguration>
  private let rates: Mutex<RequestRateLimiter?>
  /// Of the listeners for TLS.
  private let tls = Mutex<TLSSettings?>(nil)
  private let logger: Logger
  private let workers: [ObjectIdentifier: NIOLoopBoundBox<ServerWorker>]
  private let counters: [ServerWorker.Counters]
  private let isShutDown = Atomic<Bool>(false)

  /// Makes a server without a listener; its event loops run until `run()` or `shutDown()` has returned.
  ///
  /// - Parameter upstream: the server behind, for requests that are not for files.
  convenience init(
    root: DocumentRoot, configuration: UserServerConfiguration = UserServerConfiguration(), upstream: Upstream? = nil,
    accessLog: AccessLog? = nil, logger: Logger
  ) {
    self.init(
      sites: Sites(root), configuration: configuration, upstream: upstream, accessLog: accessLog, logger: logger)
  }

  init(
    sites: Sites, configuration: UserServerConfiguration, upstream: Upstream? = nil, accessLog: AccessLog? = nil,
    logger: Logger
  ) {
    // A client that goes away while it is answered must not end the process.
    signal(SIGPIPE, SIG_IGN)
    group = MultiThreadedEventLoopGroup(numberOfThreads: Self.processorsUsable)
    // A connection that is sent a large file has the file open as well.
    limit = ConnectionLimit(countMax: configuration.connectionsAllowed(perConnection: 2))
    gate = ClientGate(configuration)
    listeners = Listeners(group: group, limit: limit, gate: gate)
    self.configuration = Mutex(configuration)
    self.logger = logger
    let rates = configuration.requestRate.map { RequestRateLimiter($0) }
    self.rates = Mutex(rates)
    let loops = Array(group.makeIterator())
    var workers: [ObjectIdentifier: NIOLoopBoundBox<ServerWorker>] = [:]
    var counters: [ServerWorker.Counters] = []
    for loop in loops {
      let own = ServerWorker.Counters()
      counters.append(own)
      let pool = upstream.map { UpstreamPool($0, timeouts: configuration.proxy, loop: loop, logger: logger) }
      let worker = ServerWorker(
        sites: sites, configuration: configuration, rates: rates, counters: own, workers: loops.count, limit: limit,
        upstream: pool, filesComeFirst: upstream?.filesComeFirst ?? true, accessLog: accessLog)
      workers[ObjectIdentifier(loop)] = .makeBoxSendingValue(worker, eventLoop: loop)
    }
    self.workers = workers
    self.counters = counters
  }

  /// Listens on all addresses or on none; a port of 0 lets the kernel choose.
  ///
  /// - Returns: the addresses listened on.
  /// - Throws: `CannotListen`, with a message for the user.
  func bind(_ addresses: [SocketAddress]) async throws -> [SocketAddress] {
    try await listeners.bind(addresses, preparation(ConnectionHandler.prepare))
  }

  /// As `bind(_:)`, for TLS. The files of the certificates are watched from then on.
  func bind(_ addresses: [SocketAddress], tls settings: TLSSettings) async throws -> [SocketAddress] {
    tls.withLock { $0 = settings }
    let bound = try await listeners.bind(
      addresses,
      preparation { [self] channel, worker in
        guard let settings = tls.withLock({ $0 }) else { throw ClientGate.Refusal.notServed }
        try TLSConnection.prepare(channel, worker: worker, settings: settings)
        return true
      })
    let interval = TimeAmount.seconds(Int64(TLSLimits.certificateCheckInterval_s))
    group.next().scheduleRepeatedTask(initialDelay: interval, delay: interval) { [self] _ in
      tls.withLock { $0 }?.certificates.reloadIfChanged()
    }
    return bound
  }

  /// Answers the next request of every connection from other settings, and takes new connections by them. Where there
  /// is an upstream it may become another one; it cannot come or go. Blocks until all event loops have taken it.
  ///
  /// - Parameter tls: for new connections; `nil` where there is no listener for TLS.
  func take(
    sites: Sites, configuration: UserServerConfiguration, upstream: Upstream?, tls settings: TLSSettings?
  ) throws {
    let old = self.configuration.withLock { current in
      defer { current = configuration }
      return current
    }
    gate.take(configuration)
    tls.withLock { $0 = settings }
    let rates = rates.withLock { rates in
      // Who has used up what a client may have has done so still.
      if old.requestRate != configuration.requestRate || old.clientPrefixLengths != configuration.clientPrefixLengths {
        rates = configuration.requestRate.map { RequestRateLimiter($0) }
      }
      return rates
    }
    let logger = logger
    for taken in onEachWorker({ worker, loop in
      let pool = upstream.map { UpstreamPool($0, timeouts: configuration.proxy, loop: loop, logger: logger) }
      worker.take(sites: sites, configuration: configuration, rates: rates, upstream: pool)
    }) {
      try taken.wait()
    }
  }

  /// Connections open now.
  var connections: Int { limit.connections }

  /// Requests answered since the start.
  var requests: Int { counters.reduce(0) { $0 + $1.requests.load(ordering: .relaxed) } }

  /// What is done with an accepted connection, given the worker of its event loop.
  private func preparation(
    _ body: @escaping @Sendable (any Channel, ServerWorker) throws -> Bool
  ) -> Acceptor.Preparation {
    let workers = workers
    return { channel in
      guard let worker = workers[ObjectIdentifier(channel.eventLoop)] else {
        preconditionFailure("a connection on an event loop that is not the server's")
      }
      return try body(channel, worker.value)
    }
  }

  /// Processors this process may run on: more event loops would only be in each other's way.
  private static var processorsUsable: Int {
    // Room for 8192 processors, the most Linux can be built for (CONFIG_NR_CPUS).
    var mask = [UInt64](repeating: 0, count: 128)
    let written = mask.withUnsafeMutableBytes { clinux_sched_getaffinity($0.baseAddress!, $0.count) }
    guard written > 0 else { return System.coreCount }
    return max(1, min(mask.reduce(0) { $0 + $1.nonzeroBitCount }, System.coreCount))
  }

  // MARK: Life

  /// Serves until a graceful shutdown is asked for or the task is cancelled, then shuts down.
  func run() async throws {
    try? await gracefulShutdown()
    await shutDown()
  }

  /// Stops accepting, lets every connection finish what it is answering, closes the rest after
  /// `UserServerConfiguration.shutdownGrace_s`.
  func shutDown() async {
    guard !isShutDown.exchange(true, ordering: .relaxed) else { return }
    // First, and without waiting: when new connections are refused, answers say already that they are the last ones.
    let draining = onEachWorker { worker, _ in worker.drain() }
    await listeners.close()
    for drained in draining { try? await drained.get() }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(configuration.withLock { $0.shutdownGrace_s })
    while limit.connections > 0, clock.now < end {
      // Not cancellable: the grace is for the clients, whoever lost patience with the server.
      await Task.detached { try? await Task.sleep(for: .milliseconds(20)) }.value
    }
    if limit.connections > 0 {
      logger.debug("closing connections after the grace", metadata: ["count": "\(limit.connections)"])
    }
    for closed in onEachWorker({ worker, _ in worker.closeAll() }) { try? await closed.get() }
    do {
      try await group.shutdownGracefully()
    } catch {
      logger.debug("event loops did not shut down", metadata: ["error": "\(error)"])
    }
  }

  private func onEachWorker(
    _ body: @escaping @Sendable (ServerWorker, any EventLoop) -> Void
  ) -> [EventLoopFuture<Void>] {
    group.makeIterator().compactMap { loop in
      workers[ObjectIdentifier(loop)].map { worker in loop.submit { body(worker.value, loop) } }
    }
  }
}
