import Contract

/// Asks the server behind for one object, in all the ways clients would.
struct BackendAsker {
  let endpoint: BackendEndpoint
  let rules: CachingRules
  let target: [UInt8]
  /// Empty: the object is for requests of HTTP/1.0 without Host, and such are sent.
  let host: [UInt8]

  init(endpoint: BackendEndpoint, rules: CachingRules, request: ObjectRequest) {
    self.endpoint = endpoint
    self.rules = rules
    target = request.key.path
    host = request.host
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

  func request(_ version: String, _ fields: [String] = [], method: String = "GET") -> [UInt8] {
    Array("\(method) ".utf8) + target + Array(" HTTP/\(version)\r\n".utf8)
      + (host.isEmpty ? [] : Array("Host: ".utf8) + host + Array("\r\n".utf8))
      + fields.flatMap { Array("\($0)\r\n".utf8) } + Array("\r\n".utf8)
  }

  /// Values of Accept-Encoding that a server with an answer for each coding must tell apart.
  private static let encodings = [
    "gzip", "br", "zstd", "deflate", "identity", "*;q=0", "identity;q=0, gzip", "gzip;q=0", "",
  ]

  /// A request asked twice, then as a browser would, as one from elsewhere would, and, where it is compared with a file,
  /// with every kind of Accept-Encoding.
  private func probes(_ version: String, _ fields: [String] = []) -> [[UInt8]] {
    var requests = [[], [], Self.browserFields, Self.browserFields + Self.strangerFields]
    if rules.isWatched { requests += Self.encodings.map { ["Accept-Encoding: \($0)"] } }
    return requests.map { request(version, fields + $0) }
  }

  /// The version of a request that needs not be of a certain one: HTTP/1.1 must have a Host.
  private var version: String { host.isEmpty ? "1.0" : "1.1" }

  /// One answer, only to see what it is.
  func probe() throws -> BackendAnswer {
    try checkHost()
    let answer = try connect().exchange(request(version))
    var lesson = BackendLesson(rules: rules, body: nil)
    try lesson.take(answer)
    return answer
  }

  /// The object all answers agree on.
  ///
  /// - Parameter content: what each body must be; `nil`: what the first answer brings.
  func learn(_ content: [UInt8]?) throws -> ComposedObject {
    try checkHost()
    var lesson = BackendLesson(rules: rules, body: content)
    var answers = [BackendAnswer?](repeating: nil, count: VariantIndex.count)
    var keepAliveDiffers = false
    if !host.isEmpty {
      let persistent = try askPersistent(probes("1.1"), &lesson)
      let explicit = try askPersistent([request("1.1", ["Connection: keep-alive"])], &lesson)
      keepAliveDiffers = explicit == nil || explicit?.comparableHead != persistent?.comparableHead
      if persistent?.saysConnection("close") == false { answers[VariantIndex.persistent11] = persistent }
      answers[VariantIndex.closing11] = try askClosing(request("1.1", ["Connection: close"]), &lesson)
    }
    let keepAlive = "Connection: keep-alive"
    let persistent10 = try askPersistent(
      host.isEmpty ? probes("1.0", [keepAlive]) : Array(repeating: request("1.0", [keepAlive]), count: 2), &lesson)
    // Without this word a client of HTTP/1.0 takes the connection for closed (RFC 9112 section 9.3).
    if persistent10?.saysConnection("keep-alive") == true { answers[VariantIndex.persistent10] = persistent10 }
    answers[VariantIndex.closing10] = try askClosing(request("1.0"), &lesson)

    if answers.allSatisfy({ $0 == nil }) { throw OriginRefusal.notStorable("no kind of request is answered as asked") }
    var object = ComposedObject(heads: answers.map { $0.map(lesson.composed) }, body: lesson.body ?? [])
    object.ageBase_s = lesson.ageBase_s
    object.expires_ns = lesson.expires_ns
    object.keepAliveDiffers = keepAliveDiffers
    return BackendConditions(asker: self, answers: answers, lesson: lesson).learned(object)
  }

  /// The stored object, fresh again, if the server says that it has not changed; `nil` if it says anything else.
  func validate(_ stored: ComposedObject) throws -> ComposedObject? {
    try checkHost()
    guard let head = stored.heads.compactMap({ $0 }).first else { return nil }
    let old = try Self.parse(head.bytes)
    var fields = old.values("etag").prefix(1).map { "If-None-Match: \($0)" }
    fields += old.values("last-modified").prefix(1).map { "If-Modified-Since: \($0)" }
    if fields.isEmpty { return nil }
    let answer = try connect().exchange(request(version, fields))
    guard answer.status == 304 else { return nil }
    return try BackendRenewal(rules: rules, answer: answer).renewed(stored)
  }

  static func parse(_ head: [UInt8]) throws(OriginRefusal) -> BackendAnswer {
    // The slot of an Age is filled with zero bytes, which no field value has.
    do throws(BackendAnswer.Malformed) { return try BackendAnswer(head: AgeField.removed(from: head)) } catch {
      throw .notStorable(error.reason)
    }
  }

  func connect() throws(BackendConnection.Failure) -> BackendConnection {
    try BackendConnection(endpoint, timeout_ms: Backend.Settings.timeout_ms)
  }

  /// The Host value goes into our own requests: it must not be able to say more than a host.
  private func checkHost() throws {
    guard host.allSatisfy({ $0 > 32 && $0 < 127 }) else { throw OriginRefusal.notStorable("a malformed Host") }
  }

  /// Sends the requests one after another on one connection, or on new ones where the server closes it. The answers
  /// must be the same.
  ///
  /// - Returns: the first answer, if the connection persisted to the end and another one would be the same.
  private func askPersistent(_ requests: [[UInt8]], _ lesson: inout BackendLesson) throws -> BackendAnswer? {
    var connection: BackendConnection?
    var first: BackendAnswer?
    var persists = true
    for request in requests {
      var answer = try connection.flatMap { try Self.exchangeIfOpen($0, request) }
      if answer == nil {
        if connection != nil { persists = false }
        connection = try connect()
        answer = try connection!.exchange(request)
      }
      try lesson.take(answer!)
      if connection!.hasMore { throw OriginRefusal.notStorable("more bytes than announced") }
      if let first, first.comparableHead != answer!.comparableHead {
        throw OriginRefusal.notStorable("answers differ")
      }
      first = first ?? answer
    }
    return persists && !first!.hasKeepAlive ? first : nil
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

  /// An answer after which the server closes the connection; `nil` when it does not.
  private func askClosing(_ request: [UInt8], _ lesson: inout BackendLesson) throws -> BackendAnswer? {
    let connection = try connect()
    let answer = try connection.exchange(request)
    try lesson.take(answer)
    if connection.hasMore { throw OriginRefusal.notStorable("more bytes than announced") }
    guard !answer.saysConnection("keep-alive"), !answer.hasKeepAlive, connection.endsHere() else { return nil }
    return answer
  }
}
