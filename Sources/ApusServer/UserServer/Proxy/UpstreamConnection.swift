import NIOCore
import NIOTLS

/// A connection to the upstream. It belongs to one exchange, or to none and waits in the pool.
final class UpstreamConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let pool: UpstreamPool
  private var context: ChannelHandlerContext?
  /// Whose request it carries.
  var exchange: ProxyExchange?
  /// Whether it has carried a request before.
  var isReused = false
  /// `UpstreamPool.tick` when it began to wait.
  var idleSince = 0
  private(set) var isClosed = false
  /// Whether it ended by an error: what it carried may not be whole.
  private var isBroken = false
  /// Kept until TLS is agreed on.
  private var handshake: EventLoopPromise<Void>?

  init(pool: UpstreamPool) { self.pool = pool }

  var isWritable: Bool { context?.channel.isWritable ?? false }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func write(_ bytes: ByteBuffer) { context?.write(wrapOutboundOut(bytes), promise: nil) }
  func flush() { context?.flush() }
  func read() { context?.read() }

  func close() {
    exchange = nil
    context?.close(promise: nil)
  }

  // MARK: TLS

  /// Begins to read, and tells when TLS is agreed on.
  func awaitHandshake(on loop: any EventLoop) -> EventLoopFuture<Void> {
    guard !isClosed else { return loop.makeFailedFuture(ChannelError.eof) }
    let promise = loop.makePromise(of: Void.self)
    handshake = promise
    read()
    return promise.futureResult
  }

  func failHandshake(_ error: ChannelError) {
    guard let handshake else { return }
    self.handshake = nil
    context?.close(promise: nil)
    handshake.fail(error)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent, let handshake {
      self.handshake = nil
      handshake.succeed()
    }
    context.fireUserInboundEventTriggered(event)
  }

  // MARK: Events

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let exchange else {
      // Bytes nobody asked for: what they would be taken for is another request's response.
      context.close(promise: nil)
      return
    }
    exchange.upstreamRead(unwrapInboundIn(data))
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    exchange?.upstreamReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { exchange?.upstreamBecameWritable() }
  }

  func channelInactive(context: ChannelHandlerContext) { end() }
  func handlerRemoved(context: ChannelHandlerContext) { end() }

  /// Idempotent: a connection that was never made ends as well.
  func end() {
    guard !isClosed else { return }
    isClosed = true
    context = nil
    pool.closed(self)
    let exchange = exchange
    self.exchange = nil
    exchange?.upstreamClosed(isBroken: isBroken)
    failHandshake(.eof)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    pool.logger.debug("upstream", metadata: ["error": "\(error)"])
    isBroken = true
    if let handshake {
      self.handshake = nil
      handshake.fail(error)
    }
    context.close(promise: nil)
  }
}
