import NIOCore

/// The HTTP/1 side of the reverse proxy.
extension ConnectionHandler {
  /// What an exchange keeps of the request it answers.
  struct Proxying {
    let exchange: ProxyExchange
    let is11: Bool
    let isHead: Bool
    var isPersistent: Bool
    var body: BodyReader
    var awaitsContinue: Bool
    var delimiting = UpstreamResponse.Delimiting.asIs
  }

  /// Begins to pass a request on, if it is not for a file of the document root; it is started when the bytes of its
  /// body can be got at.
  ///
  /// - Returns: whether the request is the upstream's.
  func proxy(_ head: RequestHead, _ bytes: UnsafeRawBufferPointer, length: Int, isPersistent: Bool) -> Bool {
    guard let pool = worker.upstream, worker.proxies(head, bytes) else { return false }
    do {
      let request = try ProxyRequest(bytes, length: length, head: head, origin: origin(is11: head.is11))
      if request.hasBody, transport.stream == nil {
        // Reads fit for uploads, not for heads.
        try? context?.channel.syncOptions?.setOption(
          .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: ProxyLimits.readBytes))
      }
      state = .proxying(
        Proxying(
          exchange: ProxyExchange(request, pool: pool, client: self), is11: head.is11, isHead: request.isHead,
          isPersistent: isPersistent, body: BodyReader(request.framing),
          awaitsContinue: request.expectsContinue && request.hasBody))
    } catch {
      refuse(RequestError(error.status, "not to be passed on", isHead: head.method == .head))
    }
    return true
  }

  private func origin(is11: Bool) -> ProxyRequest.Origin {
    ProxyRequest.Origin(
      clientAddress: context?.channel.remoteAddress?.withoutMapping.ipAddress ?? "unknown", isTLS: transport.isTLS,
      version: transport.stream != nil ? "2.0" : is11 ? "1.1" : "1.0")
  }

  /// Passes on what has come of the request's body, as far as the upstream takes it.
  func pumpRequest(_ context: ChannelHandlerContext) {
    guard case .proxying(var proxying) = state else { return }
    let exchange = proxying.exchange
    guard exchange.takesRequestBody else { return }
    if exchange.isTunnel {
      if let bytes = takeInput() { exchange.requestBody(bytes) }
    } else {
      guard var bytes = takeInput() else { return awaitBody(&proxying, context) }
      do {
        while let piece = try proxying.body.next(&bytes) { exchange.requestBody(piece) }
      } catch {
        exchange.cancel()
        return refuse(.badRequest)
      }
      putBack(bytes)
      state = .proxying(proxying)
      if proxying.body.isEnded { return exchange.requestEnded() }
    }
    exchange.requestFlush()
    if inputIsClosed { proxyInputClosed(context) } else if exchange.takesRequestBody { context.read() }
  }

  /// Nothing of the body is there: gives the client leave to send it (RFC 9110 section 10.1.1), and reads.
  private func awaitBody(_ proxying: inout Proxying, _ context: ChannelHandlerContext) {
    if proxying.awaitsContinue {
      proxying.awaitsContinue = false
      state = .proxying(proxying)
      enqueue(.byteBuffer(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), context)
      context.flush()
    }
    if inputIsClosed { proxyInputClosed(context) } else { context.read() }
  }

  /// The client sends nothing more. Where its request is whole it waits for the response.
  func proxyInputClosed(_ context: ChannelHandlerContext) {
    guard case .proxying(let proxying) = state, proxying.exchange.isTunnel || !proxying.body.isEnded else { return }
    proxying.exchange.cancel()
    abort()
  }

  /// Where a response of our own is to follow what the exchange was about.
  private func endOfExchange(_ proxying: Proxying, requestIsWhole: Bool) {
    guard let context else { return }
    let isLast = !proxying.isPersistent || !requestIsWhole
    if isLast { lingers = true }
    transferEnded(context, isLast: isLast)
  }
}

extension ProxyRequest.Refusal {
  var status: Status {
    switch self {
    case .malformed: .badRequest
    case .loop: .badGateway
    case .methodNotAllowed: .methodNotAllowed
    }
  }
}

extension ConnectionHandler: ProxyClient {
  var isWritable: Bool { context?.channel.isWritable ?? false }

  func wantsRequestBody() {
    if let context { pumpRequest(context) }
  }

  func respond(_ response: UpstreamResponse) {
    guard case .proxying(var proxying) = state, let context else { return }
    if response.framing == .chunked || response.framing == .untilClose {
      // HTTP/1.0 knows no chunks (RFC 9112 section 6.1), and HTTP/2 frames bodies itself.
      proxying.delimiting = proxying.is11 && transport.stream == nil ? .chunked : .close
      if !proxying.is11 { proxying.isPersistent = false }
    }
    if response.status == 101 || worker.isDraining { proxying.isPersistent = false }
    state = .proxying(proxying)
    logged?.status = response.status
    worker.date.refresh()
    let head = response.head(
      proxying.delimiting, isPersistent: proxying.isPersistent, date: worker.date.text,
      further: transport.furtherFields)
    enqueue(.byteBuffer(head), context)
  }

  func responseBody(_ bytes: ByteBuffer) {
    guard case .proxying(let proxying) = state, let context, bytes.readableBytes > 0 else { return }
    logged?.bodyBytes += bytes.readableBytes
    guard proxying.delimiting == .chunked else {
      return enqueue(.byteBuffer(bytes), context)
    }
    enqueue(.byteBuffer(.chunkHeader(bytes.readableBytes)), context)
    enqueue(.byteBuffer(bytes), context)
    enqueue(.byteBuffer(ByteBuffer(staticString: "\r\n")), context)
  }

  func flushResponse() { context?.flush() }

  func responseEnded(requestIsWhole: Bool) {
    guard case .proxying(let proxying) = state, let context else { return }
    if proxying.delimiting == .chunked {
      enqueue(.byteBuffer(ByteBuffer(staticString: "0\r\n\r\n")), context)
    }
    transport.stream?.endAnswer()
    context.flush()
    endOfExchange(proxying, requestIsWhole: requestIsWhole)
  }

  func refuse(_ status: Status) {
    guard case .proxying(let proxying) = state, let context else { return }
    let isWhole = proxying.body.isEnded
    worker.date.refresh()
    let isPersistent = proxying.isPersistent && isWhole && !worker.isDraining
    write(StatusResponse(status), isPersistent: isPersistent, withBody: !proxying.isHead)
    writeOutput(context)
    context.flush()
    var ending = proxying
    ending.isPersistent = isPersistent
    endOfExchange(ending, requestIsWhole: isWhole)
  }
}
