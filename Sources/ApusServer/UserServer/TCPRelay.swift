import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Passes connections on to a backend byte for byte: what `--backend` means without a kernel half.
///
/// Each side's FIN is passed on by itself, and a side is read only as fast as the other takes it.
final class TCPRelay: Service {
  private let group: MultiThreadedEventLoopGroup
  private let listeners: Listeners
  private let limit: ConnectionLimit
  private let backend: SocketAddress
  private let configuration: UserServerConfiguration
  private let logger: Logger

  init(backend: SocketAddress, configuration: UserServerConfiguration = UserServerConfiguration(), logger: Logger) {
    signal(SIGPIPE, SIG_IGN)
    group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
    limit = ConnectionLimit(countMax: configuration.connectionsAllowed(perConnection: 2))
    listeners = Listeners(group: group, limit: limit, clients: configuration.clients)
    self.backend = backend
    self.configuration = configuration
    self.logger = logger
  }

  /// As `UserServer.bind`.
  func bind(_ addresses: [SocketAddress]) async throws -> [SocketAddress] {
    let backend = backend
    let logger = logger
    return try await listeners.bind(addresses) { client in
      Self.connect(client, to: backend, logger)
    }
  }

  /// Connections of clients open now.
  var connections: Int { limit.connections }

  /// Relays until a graceful shutdown is asked for or the task is cancelled, then shuts down.
  func run() async throws {
    try? await gracefulShutdown()
    await shutDown()
  }

  /// Stops accepting, lets connections end by themselves for the grace, then closes them. A relay cannot tell a
  /// connection between two requests from one that waits for an answer.
  func shutDown() async {
    await listeners.close()
    let clock = ContinuousClock()
    let end = clock.now + .seconds(configuration.shutdownGrace_s)
    while limit.connections > 0, clock.now < end {
      await Task.detached { try? await Task.sleep(for: .milliseconds(20)) }.value
    }
    try? await group.shutdownGracefully()
  }

  /// Connects to the backend on the client's event loop; nothing is read from the client before that has happened.
  private static func connect(
    _ client: any Channel, to backend: SocketAddress, _ logger: Logger
  ) -> EventLoopFuture<Void> {
    let clientSide = RelayHandler()
    let bound = NIOLoopBound(clientSide, eventLoop: client.eventLoop)
    let attempt = ClientBootstrap(group: client.eventLoop)
      .connectTimeout(.seconds(Int64(ServerLimits.connectTimeout_s)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.autoRead, value: false)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(RelayHandler(partner: bound.value))
        }
      }
      .connect(to: backend)
    attempt.whenFailure { error in
      logger.debug("the backend refused", metadata: ["backend": "\(backend)", "error": "\(error)"])
    }
    return client.eventLoop.makeCompletedFuture {
      try client.pipeline.syncOperations.addHandler(bound.value)
      attempt.whenComplete { result in
        switch result {
        case .success: bound.value.start()
        case .failure: bound.value.refuse()
        }
      }
    }
  }
}

/// One side of a relayed connection. Both sides live on one event loop.
final class RelayHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private weak var partner: RelayHandler?
  private var context: ChannelHandlerContext?
  private var hasStarted = false
  private var inputIsClosed = false
  private var outputIsClosing = false
  private var outputIsClosed = false

  init() {}

  /// The second side makes itself known to the first.
  init(partner: RelayHandler) {
    self.partner = partner
    partner.partner = self
    hasStarted = true
  }

  /// The backend is there: begins to read.
  func start() {
    hasStarted = true
    guard let context, let partner, partner.context != nil else {
      // One of the two is gone already.
      self.context?.close(promise: nil)
      partner?.context?.close(promise: nil)
      return
    }
    context.read()
  }

  func channelActive(context: ChannelHandlerContext) {
    // The side of the backend: before this moment a read is forgotten.
    if partner != nil { context.read() }
    context.fireChannelActive()
  }

  /// There is no backend: says so and closes.
  func refuse() {
    guard let context else { return }
    let response = StatusResponse(.badGateway)
    var bytes = response.head(persistent: false).bytes
    if let offset = response.head(persistent: false).dateOffset {
      var date = DateCache()
      date.refresh()
      bytes.replaceSubrange(offset..<offset + HTTPDate.length, with: date.text)
    }
    let isOut = context.eventLoop.makePromise(of: Void.self)
    isOut.futureResult.assumeIsolated().whenComplete { _ in
      // The client's request is still unread: closed right away, a reset would overtake the answer.
      context.close(mode: .output, promise: nil)
      context.read()
      context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(Int64(ServerLimits.lingerTimeout_s))) {
        context.close(promise: nil)
      }
    }
    context.write(wrapOutboundOut(ByteBuffer(bytes: bytes + response.body)), promise: isOut)
    context.flush()
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    partner?.context?.write(data, promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard let partner else {
      if !inputIsClosed { context.read() }
      return
    }
    partner.context?.flush()
    readOn()
  }

  /// Reads on where the partner can take it.
  private func readOn() {
    guard hasStarted, !inputIsClosed, partner?.context?.channel.isWritable == true else { return }
    context?.read()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { partner?.readOn() }
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed = event else {
      context.fireUserInboundEventTriggered(event)
      return
    }
    inputIsClosed = true
    guard let partner else {
      context.close(promise: nil)
      return
    }
    partner.closeOutput()
    if outputIsClosed { context.close(promise: nil) }
  }

  /// Passes the other side's FIN on, behind everything that is still to be written.
  private func closeOutput() {
    guard let context, !outputIsClosing else { return }
    outputIsClosing = true
    context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { [self] _ in
      outputIsClosed = true
      if inputIsClosed {
        context.close(promise: nil)
      } else {
        context.close(mode: .output, promise: nil)
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    // The other side ends when it has written what it was given.
    if let other = partner, let otherContext = other.context {
      otherContext.writeAndFlush(other.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
        otherContext.close(promise: nil)
      }
    }
    partner = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
