import NIOCore
import NIOHPACK
import NIOHTTP2

/// One request and its answer on an HTTP/2 stream, for a `ConnectionHandler` behind it, which reads and writes as on an
/// HTTP/1 connection: what a request is answered with is decided in one place for all versions.
final class HTTP2StreamAdapter: ChannelDuplexHandler {
  typealias InboundIn = HTTP2Frame.FramePayload
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = HTTP2Frame.FramePayload

  private enum Answer {
    /// Nothing of the final head has been written.
    case head
    /// So many bytes are to come; `nil`: until `endAnswer`.
    case body(left: Int?)
    case ended
  }

  private let connection: HTTP2Connection
  private var context: ChannelHandlerContext?
  private var request: HTTP2RequestHead?
  private var requestHasEnded = false
  private var answer = Answer.head
  /// Bytes written that the client has not taken: those that wait for its windows.
  private(set) var unwrittenBytes = 0

  init(connection: HTTP2Connection) { self.connection = connection }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func channelActive(context: ChannelHandlerContext) {
    if let id = try? context.channel.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID) {
      connection.streamOpened(id)
    }
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    if self.context != nil { connection.streamClosed() }
    self.context = nil
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // The stream is reset, by the client or because of what it sent.
    context.close(promise: nil)
  }

  // MARK: The request

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .headers(let headers) where request == nil: begin(headers, context)
    // Trailers are dropped.
    case .headers(let headers): if headers.endStream { endRequest(context) }
    case .data(let data):
      if case .byteBuffer(let bytes) = data.data, bytes.readableBytes > 0 { pass(bytes, context) }
      if data.endStream { endRequest(context) }
    default: break
    }
  }

  private func begin(_ headers: HTTP2Frame.FramePayload.Headers, _ context: ChannelHandlerContext) {
    do {
      let head = try HTTP2RequestHead(headers.headers, endStream: headers.endStream)
      request = head
      requestHasEnded = headers.endStream
      context.fireChannelRead(wrapInboundOut(head.bytes))
    } catch {
      reset(.protocolError, context)
    }
  }

  private func pass(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
    guard request?.isChunked == true else { return context.fireChannelRead(wrapInboundOut(bytes)) }
    var chunk = ByteBuffer.chunkHeader(bytes.readableBytes)
    chunk.writeImmutableBuffer(bytes)
    chunk.writeStaticString("\r\n")
    context.fireChannelRead(wrapInboundOut(chunk))
  }

  private func endRequest(_ context: ChannelHandlerContext) {
    guard !requestHasEnded else { return }
    requestHasEnded = true
    if request?.isChunked == true {
      context.fireChannelRead(wrapInboundOut(ByteBuffer(staticString: "0\r\n\r\n")))
    }
  }

  // MARK: The answer

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    var bytes = unwrapOutboundIn(data)
    if case .head = answer, bytes.readableBytes > 0 {
      do {
        try writeHeads(&bytes, context)
      } catch {
        promise?.fail(error)
        return reset(.internalError, context)
      }
    }
    guard case .body(let left) = answer, bytes.readableBytes > 0 else {
      // Nothing is left to be written: what was before it must be out when the promise is kept.
      if let promise { context.eventLoop.execute { promise.succeed() } }
      return
    }
    var isLast = false
    if let left {
      // More than Content-Length says is never written by anybody.
      bytes = bytes.readSlice(length: min(left, bytes.readableBytes)) ?? bytes
      isLast = bytes.readableBytes == left
      answer = isLast ? .ended : .body(left: left - bytes.readableBytes)
    }
    writeData(bytes, endStream: isLast, promise, context)
  }

  /// Turns heads into HEADERS frames: interim ones, and the final one.
  private func writeHeads(_ bytes: inout ByteBuffer, _ context: ChannelHandlerContext) throws {
    while case .head = answer, bytes.readableBytes > 0 {
      guard let response = try UpstreamResponse.next(&bytes, toHead: request?.isHead ?? false) else {
        throw UpstreamResponse.Malformed("a head that was not written whole")
      }
      var headers = HPACKHeaders([(":status", "\(response.status)")])
      for line in response.section.endToEnd(except: []) {
        headers.add(
          name: String(decoding: response.section.bytes[line.name], as: UTF8.self).lowercased(),
          value: String(decoding: response.section.value(line), as: UTF8.self))
      }
      if let length = response.contentLength, response.status != 204 {
        headers.add(name: "content-length", value: "\(length)")
      }
      var endStream = false
      if response.status >= 200 {
        switch response.framing {
        case .none, .length(0): endStream = true
        case .length(let length): answer = .body(left: length)
        case .chunked, .untilClose: answer = .body(left: nil)
        }
      }
      if endStream { answer = .ended }
      let frame = HTTP2Frame.FramePayload.headers(.init(headers: headers, endStream: endStream))
      guard endStream else {
        context.write(wrapOutboundOut(frame), promise: nil)
        continue
      }
      context.write(wrapOutboundOut(frame), promise: finishing(context))
    }
  }

  private func writeData(
    _ bytes: ByteBuffer, endStream: Bool, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext
  ) {
    let count = bytes.readableBytes
    unwrittenBytes += count
    let isOut = context.eventLoop.makePromise(of: Void.self)
    isOut.futureResult.assumeIsolated().whenComplete { [self] _ in unwrittenBytes -= count }
    if let promise { isOut.futureResult.cascade(to: promise) }
    if endStream {
      let finished = finishing(context)
      isOut.futureResult.cascade(to: finished)
    }
    context.write(
      wrapOutboundOut(.data(.init(data: .byteBuffer(bytes), endStream: endStream))), promise: isOut)
  }

  /// The end of an answer that does not say how long it is.
  func endAnswer() {
    guard case .body(nil) = answer, let context else { return }
    answer = .ended
    writeData(ByteBuffer(), endStream: true, nil, context)
    context.flush()
  }

  /// Kept when the last frame is out. A client that is still sending is told that nobody reads it
  /// (RFC 9113 section 8.1).
  private func finishing(_ context: ChannelHandlerContext) -> EventLoopPromise<Void> {
    let promise = context.eventLoop.makePromise(of: Void.self)
    promise.futureResult.assumeIsolated().whenSuccess { [self] in
      if !requestHasEnded { reset(.noError, context) }
    }
    return promise
  }

  // MARK: Closing

  private func reset(_ code: HTTP2ErrorCode, _ context: ChannelHandlerContext) {
    guard self.context != nil else { return }
    answer = .ended
    requestHasEnded = true
    context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
    context.close(promise: nil)
  }

  /// The end of a connection of HTTP/1 is the end of the answer here, or the break of one that is not whole.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .all else {
      promise?.succeed()
      return
    }
    promise?.succeed()
    switch answer {
    // The stream ends when both sides have; a client that has not is told by `finishing`.
    case .ended where unwrittenBytes == 0: break
    // The client does not take it.
    case .ended: reset(.cancel, context)
    case .head, .body: reset(.internalError, context)
    }
  }
}
