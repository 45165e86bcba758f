import NIOCore

/// Takes connections from a listener, not beyond the limit, and prepares them.
///
/// NIO accepts several connections for one read, so the limit may be passed by `ServerLimits.acceptsPerWake`.
final class Acceptor: ChannelDuplexHandler {
  typealias InboundIn = Channel
  typealias OutboundIn = Channel

  /// Prepares a connection, and may answer what has come with it. False: it has been answered and closed, and the event
  /// loop has nothing to wait for.
  typealias Preparation = @Sendable (any Channel) throws -> Bool

  private let limit: ConnectionLimit
  private let gate: ClientGate
  private let prepare: Preparation

  init(limit: ConnectionLimit, gate: ClientGate, prepare: @escaping Preparation) {
    self.limit = limit
    self.gate = gate
    self.prepare = prepare
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let channel = unwrapInboundIn(data)
    limit.acquire()
    let limit = limit
    channel.closeFuture.whenComplete { _ in limit.release() }
    do {
      try gate.admit(channel)
      guard try prepare(channel) else { return }
    } catch {
      channel.close(promise: nil)
      return
    }
    // At the end of this pipeline it is registered with the event loop.
    context.fireChannelRead(data)
  }

  func read(context: ChannelHandlerContext) {
    guard limit.isReached else {
      context.read()
      return
    }
    let loop = context.eventLoop
    let bound = NIOLoopBound((self, context), eventLoop: loop)
    limit.whenBelow {
      loop.execute {
        let (acceptor, context) = bound.value
        if context.channel.isActive { acceptor.read(context: context) }
      }
    }
  }
}
