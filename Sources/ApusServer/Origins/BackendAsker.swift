import Contract

/// Asks the server behind for one object, in all the ways clients would.
struct BackendAsker {
  let endpoint: BackendEndpoint
  let target: [UInt8]
  let host: [UInt8]

  init(endpoint: BackendEndpoint, request: ObjectRequest) {
    self.endpoint = endpoint
    target = request.key.path
    host = request.host.isEmpty ? Array(endpoint.description.utf8) : request.host
  }

  /// What a browser says of itself: enough for a server that compresses, negotiates or tells browsers apart.
  private static let browserFields = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: de,en-US;q=0.7,en;q=0.3", "Accept-Encoding: gzip, deflate, br, zstd",
    "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Priority: u=0, i",
  ]
  /// What makes a request one from another site, by someone known: answers that depend on it are nobody else's.
  private static let strangerFields = [
    "Origin: https://stranger.invalid", "Referer: https://stranger.invalid/", "Cookie: session=0123456789abcdef",
  ]

  private func request(_ version: String, _ fields: [String] = []) -> [UInt8] {
    Array("GET ".utf8) + target + Array(" HTTP/\(version)\r\nHost: ".utf8) + host + Array("\r\n".utf8)
      + fields.flatMap { Array("\($0)\r\n".utf8) } + Array("\r\n".utf8)
  }

  /// One answer, only to see what it is.
  func probe() throws -> BackendAnswer {
    try checkHost()
    let answer = try BackendConnection(endpoint, timeout_ms: Backend.Settings.timeout_ms).exchange(request("1.1"))
    if let reason = answer.notStorableReason { throw OriginRefusal.notStorable(reason) }
    return answer
  }

  /// The object all answers agree on.
  ///
  /// - Parameter content: what each body must be.
  func learn(_ content: [UInt8]) throws -> ComposedObject {
    try checkHost()
    let plain = request("1.1")
    let persistent11 = try askPersistent(
      [
        plain, plain, request("1.1", Self.browserFields),
        request("1.1", Self.browserFields + Self.strangerFields),
      ], content)
    let keepAlive10 = request("1.0", ["Connection: keep-alive"])
    let persistent10 = try askPersistent([keepAlive10, keepAlive10], content)
    var heads = [ComposedObject.Head?](repeating: nil, count: VariantIndex.count)
    if !persistent11.answer.saysConnection("close") { heads[VariantIndex.persistent11] = persistent11.head }
    // Without this word a client of HTTP/1.0 takes the connection for closed (RFC 9112 section 9.3).
    if persistent10.answer.saysConnection("keep-alive") { heads[VariantIndex.persistent10] = persistent10.head }
    heads[VariantIndex.closing11] = try askClosing(request("1.1", ["Connection: close"]), content)
    heads[VariantIndex.closing10] = try askClosing(request("1.0"), content)
    if heads.allSatisfy({ $0 == nil }) { throw OriginRefusal.notStorable("no kind of request is answered as asked") }
    return ComposedObject(heads: heads, body: content)
  }

  /// The Host value goes into our own requests: it must not be able to say more than a host.
  private func checkHost() throws {
    guard host.allSatisfy({ $0 > 32 && $0 < 127 }) else { throw OriginRefusal.notStorable("a malformed Host") }
  }

  private func check(_ answer: BackendAnswer, _ content: [UInt8]) throws {
    if let reason = answer.notStorableReason { throw OriginRefusal.notStorable(reason) }
    if answer.body != content { throw OriginRefusal.notStorable("the answer is not the file") }
  }

  /// Sends the requests one after another on one connection, or on new ones where the server closes it. The answers
  /// must be the same.
  ///
  /// - Returns: the first answer, and its head if the connection persisted to the end.
  private func askPersistent(
    _ requests: [[UInt8]], _ content: [UInt8]
  ) throws -> (answer: BackendAnswer, head: ComposedObject.Head?) {
    var connection: BackendConnection?
    var first: BackendAnswer?
    var persists = true
    for request in requests {
      var answer = try connection.flatMap { try Self.exchangeIfOpen($0, request) }
      if answer == nil {
        if connection != nil { persists = false }
        connection = try BackendConnection(endpoint, timeout_ms: Backend.Settings.timeout_ms)
        answer = try connection!.exchange(request)
      }
      try check(answer!, content)
      if connection!.hasMore { throw OriginRefusal.notStorable("more bytes than announced") }
      if let first, first.headWithoutDate != answer!.headWithoutDate {
        throw OriginRefusal.notStorable("answers differ")
      }
      first = first ?? answer
    }
    let isUsable = persists && !first!.hasKeepAlive
    return (first!, isUsable ? first!.composedHead : nil)
  }

  private static func exchangeIfOpen(
    _ connection: BackendConnection, _ request: [UInt8]
  ) throws(BackendConnection.Failure) -> BackendAnswer? {
    do throws(BackendConnection.Failure) {
      return try connection.exchange(request)
    } catch {
      if case .closed = error { return nil }
      throw error
    }
  }

  /// The head of an answer after which the server closes the connection; `nil` when it does not.
  private func askClosing(_ request: [UInt8], _ content: [UInt8]) throws -> ComposedObject.Head? {
    let connection = try BackendConnection(endpoint, timeout_ms: Backend.Settings.timeout_ms)
    let answer = try connection.exchange(request)
    try check(answer, content)
    if connection.hasMore { throw OriginRefusal.notStorable("more bytes than announced") }
    guard !answer.saysConnection("keep-alive"), !answer.hasKeepAlive, connection.endsHere() else { return nil }
    return answer.composedHead
  }
}
