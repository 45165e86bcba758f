import NIOCore

/// The client's side of an exchange, in HTTP/1 or HTTP/2.
protocol ProxyClient: AnyObject {
  /// Whether it takes more of the response.
  var isWritable: Bool { get }
  /// The upstream takes the request's body now: `ProxyExchange.requestBody` may be called.
  func wantsRequestBody()
  func respond(_ response: UpstreamResponse)
  func responseBody(_ bytes: ByteBuffer)
  func flushResponse()
  /// The response is whole.
  ///
  /// - Parameter requestIsWhole: whether all of the request has been read; else what follows on the connection is
  ///   not known.
  func responseEnded(requestIsWhole: Bool)
  /// There is no response: the answer is Apus's own.
  func refuse(_ status: Status)
  /// The response ends where it is, and the client must see that it is not whole.
  func abort()
}

/// A request on its way to the upstream and its response on the way back, both streamed: each side is read only as
/// fast as the other takes it. Lives on one event loop.
final class ProxyExchange {
  private enum Phase {
    case connecting
    /// The head has been sent; the response's has not come.
    case awaitingHead
    case receivingBody(BodyReader, UpstreamResponse)
    /// After a change of protocol: bytes both ways.
    case tunnel
    case ended
  }

  let request: ProxyRequest
  private let pool: UpstreamPool
  private weak var client: (any ProxyClient)?
  private var phase = Phase.connecting
  private var upstream: UpstreamConnection?
  private var input: ByteBuffer?
  private var requestIsWhole: Bool
  private var hasSentBody = false
  private var hasReceived = false
  private var interimResponses = 0
  /// Seconds that began without progress: as many have passed, or one less.
  private var waited_s = 0
  /// Whether the upstream is not read because the client does not take what came.
  private var isHeldBack = false

  init(_ request: ProxyRequest, pool: UpstreamPool, client: any ProxyClient) {
    self.request = request
    self.pool = pool
    self.client = client
    requestIsWhole = !request.hasBody
  }

  /// Sends the request, on a kept connection if there is one.
  func start() {
    if let connection = pool.reuse(isRepeatable: request.isRepeatable) {
      send(on: connection)
    } else {
      connect()
    }
  }

  private func connect() {
    phase = .connecting
    pool.connect().assumeIsolated().whenComplete { [self] result in
      switch (result, phase) {
      case (.success(let connection), .connecting) where connection.isClosed: refuse(.badGateway)
      case (.success(let connection), .connecting): send(on: connection)
      // The client is gone; another request may use the connection.
      case (.success(let connection), _): pool.keep(connection)
      case (.failure(let error), _):
        pool.logger.debug("no upstream", metadata: ["url": "\(pool.url)", "error": "\(error)"])
        switch error {
        case is UpstreamPool.LimitReached: refuse(.serviceUnavailable)
        case ChannelError.connectTimeout: refuse(.gatewayTimeout)
        default: refuse(.badGateway)
        }
      }
    }
  }

  private func send(on connection: UpstreamConnection) {
    upstream = connection
    connection.exchange = self
    phase = .awaitingHead
    waited_s = 0
    connection.write(request.head(upstream: pool.url))
    connection.flush()
    // A kept connection has a read pending; a second one changes nothing.
    connection.read()
    if !requestIsWhole { client?.wantsRequestBody() }
  }

  // MARK: The request's body

  /// Whether `requestBody` may be called.
  var takesRequestBody: Bool {
    guard !requestIsWhole || isTunnel, let upstream else { return false }
    return upstream.isWritable
  }

  var isTunnel: Bool {
    if case .tunnel = phase { return true }
    return false
  }

  /// Passes a piece of the body on, in the upstream's own framing.
  func requestBody(_ bytes: ByteBuffer) {
    guard let upstream, bytes.readableBytes > 0 else { return }
    waited_s = 0
    hasSentBody = true
    guard request.framing == .chunked, !isTunnel else { return upstream.write(bytes) }
    upstream.write(.chunkHeader(bytes.readableBytes))
    upstream.write(bytes)
    upstream.write(ByteBuffer(staticString: "\r\n"))
  }

  func requestFlush() { upstream?.flush() }

  func requestEnded() {
    guard !requestIsWhole else { return }
    requestIsWhole = true
    if request.framing == .chunked { upstream?.write(ByteBuffer(staticString: "0\r\n\r\n")) }
    upstream?.flush()
  }

  func upstreamBecameWritable() {
    waited_s = 0
    if !requestIsWhole || isTunnel { client?.wantsRequestBody() }
  }

  // MARK: The response

  func upstreamRead(_ bytes: ByteBuffer) {
    waited_s = 0
    hasReceived = true
    var bytes = bytes
    if input != nil { input?.writeBuffer(&bytes) } else { input = bytes }
    do {
      try takeInput()
    } catch {
      pool.logger.debug("malformed response", metadata: ["url": "\(pool.url)", "error": "\(error)"])
      fail(.badGateway)
    }
  }

  private func takeInput() throws {
    guard var bytes = input else { return }
    input = nil
    if case .awaitingHead = phase {
      guard try takeHead(&bytes) else {
        if bytes.readableBytes > 0 { input = bytes }
        return
      }
    }
    switch phase {
    case .receivingBody(var reader, let response):
      while let piece = try reader.next(&bytes) { client?.responseBody(piece) }
      // The client may have ended it all while it was written to.
      guard case .receivingBody = phase else { return }
      phase = .receivingBody(reader, response)
      if bytes.readableBytes > 0 { input = bytes }
      if reader.isEnded { end(response) }
    case .tunnel:
      if bytes.readableBytes > 0 { client?.responseBody(bytes) }
    case .connecting, .awaitingHead, .ended: break
    }
  }

  /// Whether a final head has come and has been passed on.
  private func takeHead(_ bytes: inout ByteBuffer) throws -> Bool {
    while let response = try UpstreamResponse.next(&bytes, toHead: request.isHead) {
      if response.status == 101 {
        guard request.upgrade, response.changesToWebSocket else {
          throw UpstreamResponse.Malformed("a change of protocol nobody asked for")
        }
        phase = .tunnel
        client?.respond(response)
        client?.wantsRequestBody()
        return true
      }
      guard response.status < 200 else {
        phase = .receivingBody(BodyReader(response.framing), response)
        client?.respond(response)
        return true
      }
      // 100 was answered by Apus itself, and no other is worth the doubts about who understands it.
      interimResponses += 1
      guard interimResponses <= ProxyLimits.interimResponsesMax else {
        throw UpstreamResponse.Malformed("too many interim responses")
      }
    }
    return false
  }

  func upstreamReadComplete() {
    switch phase {
    case .ended, .connecting: return
    case .awaitingHead: upstream?.read()
    case .receivingBody, .tunnel:
      client?.flushResponse()
      readOn()
    }
  }

  private func readOn() {
    isHeldBack = client?.isWritable == false
    if !isHeldBack { upstream?.read() }
  }

  /// The client takes more of the response.
  func clientBecameWritable() {
    guard isHeldBack else { return }
    waited_s = 0
    readOn()
  }

  // MARK: The end

  private func end(_ response: UpstreamResponse) {
    phase = .ended
    let isClean = response.isPersistent && requestIsWhole && input == nil
    if let upstream {
      self.upstream = nil
      if isClean { pool.keep(upstream) } else { upstream.close() }
    }
    client?.responseEnded(requestIsWhole: requestIsWhole)
  }

  /// - Parameter isBroken: by an error, as a RST or, in TLS, an end without close_notify (RFC 9112 section 9.8).
  func upstreamClosed(isBroken: Bool) {
    let wasReused = upstream?.isReused ?? false
    upstream = nil
    switch phase {
    case .connecting, .ended: break
    case .awaitingHead:
      if wasReused, !hasReceived, request.isRepeatable {
        connect()
      } else {
        refuse(.badGateway)
      }
    case .receivingBody(let reader, let response):
      if reader.endsWithConnection, !isBroken { end(response) } else { fail(.badGateway) }
    case .tunnel:
      phase = .ended
      client?.responseEnded(requestIsWhole: false)
    }
  }

  private func refuse(_ status: Status) {
    if case .ended = phase { return }
    phase = .ended
    upstream?.close()
    upstream = nil
    client?.refuse(status)
  }

  /// Ends the exchange by an answer of our own, or where the response has begun by breaking it off.
  private func fail(_ status: Status) {
    switch phase {
    case .connecting, .awaitingHead: refuse(status)
    case .receivingBody, .tunnel:
      cancel()
      client?.abort()
    case .ended: break
    }
  }

  /// The client is gone, or sends what is no body.
  func cancel() {
    phase = .ended
    upstream?.close()
    upstream = nil
  }

  /// Once a second.
  func look() {
    waited_s += 1
    switch phase {
    case .tunnel: if waited_s > pool.timeouts.tunnel_s { fail(.gatewayTimeout) }
    // Connecting has a timeout of its own.
    case .connecting, .ended: break
    case .awaitingHead, .receivingBody:
      if !requestIsWhole, takesRequestBody {
        if waited_s > pool.timeouts.body_s { fail(.requestTimeout) }
      } else if !isHeldBack, waited_s > pool.timeouts.read_s {
        fail(.gatewayTimeout)
      }
    }
  }
}
