import NIOCore
import NIOHTTP2
import NIOSSL
import NIOTLS

/// What the TLS listeners are made of.
struct TLSSettings: Sendable {
  let certificates: CertificateStore
  /// max-age of Strict-Transport-Security (RFC 6797), in seconds; `nil`: no such field.
  var hsts_s: Int?

  var transport: Transport { transport(stream: nil) }

  func transport(stream: HTTP2StreamAdapter?) -> Transport {
    Transport(
      isTLS: true,
      furtherFields: hsts_s.map { ByteBuffer(string: "Strict-Transport-Security: max-age=\($0)\r\n") },
      stream: stream)
  }
}

/// Waits for the TLS handshake and then makes the connection one of HTTP/1 or HTTP/2, as agreed by ALPN (RFC 7301).
final class TLSConnection: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  private let worker: ServerWorker
  private let settings: TLSSettings
  private var context: ChannelHandlerContext?
  private var waited_s = 0

  init(worker: ServerWorker, settings: TLSSettings) {
    self.worker = worker
    self.settings = settings
  }

  /// Prepares an accepted connection.
  static func prepare(_ channel: any Channel, worker: ServerWorker, settings: TLSSettings) throws {
    try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    try channel.syncOptions?.setOption(
      .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: TLSLimits.readBytes))
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(NIOSSLServerHandler(context: settings.certificates.context))
    try pipeline.addHandler(TLSConnection(worker: worker, settings: settings))
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    worker.add(self, loop: context.eventLoop)
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  private func end() {
    context = nil
    worker.remove(self)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted(let agreed) = event {
      do {
        if agreed == "h2" { try serveHTTP2(context) } else { try serveHTTP1(context) }
      } catch {
        context.close(promise: nil)
      }
      return
    }
    if case ChannelEvent.inputClosed = event {
      // Without an agreement there is nothing to be answered.
      context.close(promise: nil)
      return
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func serveHTTP1(_ context: ChannelHandlerContext) throws {
    try context.channel.syncOptions?.setOption(.autoRead, value: false)
    let pipeline = context.pipeline.syncOperations
    try pipeline.addHandler(FileRegionReader())
    try pipeline.addHandler(ConnectionHandler(worker: worker, transport: settings.transport))
    leave(context)
    context.channel.read()
  }

  private func serveHTTP2(_ context: ChannelHandlerContext) throws {
    try context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
    try HTTP2Connection.configure(context.channel, worker: worker, settings: settings)
    leave(context)
  }

  private func leave(_ context: ChannelHandlerContext) {
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }
}

extension TLSConnection: ServedConnection {
  func look() {
    waited_s += 1
    if waited_s >= TLSLimits.handshakeTimeout_s { abort() }
  }

  /// A handshake is on its way, or late.
  var idle_s: Int? { nil }
  func closeIfIdle() { abort() }
  func abort() { context?.close(promise: nil) }
}
