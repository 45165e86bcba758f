import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// The connections of one event loop to the upstream. Used on that event loop only.
final class UpstreamPool {
  let url: UpstreamURL
  let logger: Logger
  private let loop: any EventLoop
  private let tls: NIOSSLContext?
  let timeouts: ProxyTimeouts
  /// The one that was used last is last.
  private var idle: [UpstreamConnection] = []
  private(set) var connections = 0
  private(set) var tick = 0
  private var ticking: RepeatedTask?

  struct LimitReached: Error {}

  init(_ upstream: Upstream, timeouts: ProxyTimeouts, loop: any EventLoop, logger: Logger) {
    url = upstream.url
    tls = upstream.tls
    self.timeouts = timeouts
    self.loop = loop
    self.logger = logger
  }

  var idleConnections: Int { idle.count }

  /// A kept connection if there is a good one; it belongs to the caller.
  ///
  /// - Parameter isRepeatable: whether the request may be sent again where the connection turns out to be closed.
  func reuse(isRepeatable: Bool) -> UpstreamConnection? {
    guard let last = idle.last, isRepeatable || tick - last.idleSince <= ProxyLimits.idleUnsafe_s else { return nil }
    idle.removeLast()
    last.isReused = true
    return last
  }

  /// A new connection, TLS agreed on.
  ///
  /// - Returns: fails with `ChannelError.connectTimeout` where it takes too long, of TCP and TLS together.
  func connect() -> EventLoopFuture<UpstreamConnection> {
    guard connections < ProxyLimits.connectionsMax else { return loop.makeFailedFuture(LimitReached()) }
    connections += 1
    let connection = NIOLoopBound(UpstreamConnection(pool: self), eventLoop: loop)
    let (url, tls) = (url, tls)
    let timeout = TimeAmount.seconds(Int64(timeouts.connect_s))
    let deadline = NIODeadline.now() + timeout
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(timeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.autoRead, value: false)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: ProxyLimits.readBytes))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls {
            // An address is verified as the one connected to, a name as the one asked for.
            let isAddress = (try? SocketAddress(ipAddress: url.host, port: 0)) != nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : url.host))
          }
          try pipeline.addHandler(connection.value)
        }
      }
    let connected: EventLoopFuture<any Channel>
    if let address = try? SocketAddress(ipAddress: url.host, port: Int(url.port)) {
      connected = bootstrap.connect(to: address)
    } else {
      connected = bootstrap.connect(host: url.host, port: Int(url.port))
    }
    return connected.flatMap { [loop] _ in
      guard tls != nil else { return loop.makeSucceededVoidFuture() }
      let handshake = connection.value.awaitHandshake(on: loop)
      let timer = loop.scheduleTask(deadline: deadline) { connection.value.failHandshake(.connectTimeout(timeout)) }
      handshake.whenComplete { _ in timer.cancel() }
      return handshake
    }.map { connection.value }.flatMapErrorThrowing { error in
      connection.value.end()
      throw error
    }
  }

  /// Keeps a connection whose response has ended.
  func keep(_ connection: UpstreamConnection) {
    connection.exchange = nil
    guard !connection.isClosed else { return }
    guard idle.count < ProxyLimits.idleConnectionsMax else { return connection.close() }
    connection.idleSince = tick
    idle.append(connection)
    // With a read pending the end of the connection is noticed.
    connection.read()
    guard ticking == nil else { return }
    let bound = NIOLoopBound(self, eventLoop: loop)
    ticking = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in bound.value.look() }
  }

  func closed(_ connection: UpstreamConnection) {
    connections -= 1
    idle.removeAll { $0 === connection }
  }

  private func look() {
    tick += 1
    for connection in idle where tick - connection.idleSince > timeouts.idle_s { connection.close() }
    guard idle.isEmpty else { return }
    ticking?.cancel()
    ticking = nil
  }

  func closeIdle() {
    for connection in idle { connection.close() }
  }
}
