import Contract

/// Asks the server behind for one object, in all the ways clients would.
struct BackendAsker {
  let endpoint: BackendEndpoint
  let rules: CachingRules
  let target: [UInt8]
  /// Empty: the object is for requests of HTTP/1.0 without Host, and such are sent.
  let host: [UInt8]
  /// The Last-Modified of files that were compressed beforehand.
  var sideCarDates: Set<String> = []

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
    "Accept-Language: de,en-US;q=0.7,en;q=0.3", "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate", "Priority: u=0, i",
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

  /// Odd values of Accept-Encoding, which a server with an answer for each coding must tell apart.
  private static let oddEncodings = ["br", "zstd", "deflate", "*;q=0", "identity;q=0, gzip", "gzip;q=0", ""]

  /// A request asked twice, then as a browser would, and as one from elsewhere would.
  private static let probes = [[], [], browserFields, browserFields + strangerFields]

  /// The same request with every kind of Accept-Encoding.
  private func encodingProbes(_ version: String, _ fields: [String] = []) -> [[UInt8]] {
    let browser = "Accept-Encoding: gzip, deflate, br, zstd"
    var requests = [[], Self.browserFields + [browser], Self.browserFields + Self.strangerFields + [browser]]
    requests += BackendEncodings.values.map { ["Accept-Encoding: \($0)"] }
    // A file is answered to everybody whatever Vary says, if the answers are the same.
    if rules.isWatched { requests += Self.oddEncodings.map { ["Accept-Encoding: \($0)"] } }
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

  /// What is said to one kind of client.
  struct Answers {
    /// By `VariantIndex`.
    var variants = [BackendAnswer?](repeating: nil, count: VariantIndex.count)
    var keepAliveDiffers = false
  }

  /// The object all answers agree on, or those for each value of Accept-Encoding.
  ///
  /// - Parameter content: what each body must be that is in no content coding; `nil`: what the first answer brings.
  func learn(_ content: [UInt8]?) throws -> ComposedObject {
    try checkHost()
    let isLarge = (content?.count ?? 0) > Limits.responseBytesMax
    do {
      if isLarge { throw BackendConnection.Failure.answerTooLarge }
      return try learnWithPlain(content)
    } catch BackendConnection.Failure.answerTooLarge {
      return try BackendEncodings(asker: self).learned(tooLarge: content)
    }
  }

  private func learnWithPlain(_ content: [UInt8]?) throws -> ComposedObject {
    var lesson = BackendLesson(rules: rules, body: content)
    var answers = Answers()
    if !host.isEmpty { try ask11([], &lesson, &answers) }
    try ask10([], &lesson, &answers)
    let isSame = try isSameForAllEncodings(&lesson)
    let object = try composed(answers, lesson)
    if isSame && (rules.isWatched || !lesson.varies) { return object }
    return try BackendEncodings(asker: self).learned(object, lesson)
  }

  /// Asks with HTTP/1.1.
  ///
  /// - Parameters:
  ///   - fields: sent with each request.
  ///   - closes: asks for the answer after which the server closes the connection, too.
  func ask11(
    _ fields: [String], _ lesson: inout BackendLesson, _ answers: inout Answers, closes: Bool = true
  ) throws {
    let persistent = try askPersistent(Self.probes.map { request("1.1", fields + $0) }, &lesson)
    let explicit = try askPersistent([request("1.1", ["Connection: keep-alive"] + fields)], &lesson)
    answers.keepAliveDiffers = explicit == nil || explicit?.comparableHead != persistent?.comparableHead
    if persistent?.saysConnection("close") == false { answers.variants[VariantIndex.persistent11] = persistent }
    if !closes { return }
    answers.variants[VariantIndex.closing11] = try askClosing(
      request("1.1", ["Connection: close"] + fields), &lesson)
  }

  /// The same with HTTP/1.0.
  func ask10(
    _ fields: [String], _ lesson: inout BackendLesson, _ answers: inout Answers, closes: Bool = true
  ) throws {
    let keepAlive = ["Connection: keep-alive"] + fields
    let probes = host.isEmpty ? Self.probes : [[], []]
    let persistent = try askPersistent(probes.map { request("1.0", keepAlive + $0) }, &lesson)
    // Without this word a client of HTTP/1.0 takes the connection for closed (RFC 9112 section 9.3).
    if persistent?.saysConnection("keep-alive") == true { answers.variants[VariantIndex.persistent10] = persistent }
    if !closes { return }
    answers.variants[VariantIndex.closing10] = try askClosing(request("1.0", fields), &lesson)
  }

  /// The answers as an object, with what is learned of conditions.
  ///
  /// - Parameter fields: what the answers were asked for with.
  func composed(_ answers: Answers, _ lesson: BackendLesson, fields: [String] = []) throws -> ComposedObject {
    if answers.variants.allSatisfy({ $0 == nil }) {
      throw OriginRefusal.notStorable("no kind of request is answered as asked")
    }
    var object = ComposedObject(
      heads: answers.variants.map { $0.map(lesson.composed) }, body: lesson.body ?? [])
    object.ageBase_s = lesson.ageBase_s
    object.expires_ns = lesson.expires_ns
    object.keepAliveDiffers = answers.keepAliveDiffers
    return BackendConditions(asker: self, answers: answers.variants, lesson: lesson, fields: fields).learned(object)
  }

  /// Whether the answer does not depend on Accept-Encoding.
  private func isSameForAllEncodings(_ lesson: inout BackendLesson) throws -> Bool {
    var probed = lesson
    let requests = host.isEmpty ? encodingProbes("1.0", ["Connection: keep-alive"]) : encodingProbes("1.1")
    guard try Self.isRepeatable({ _ = try askPersistent(requests, &probed) }) else { return false }
    lesson = probed
    return true
  }

  /// Whether answers turn out to be such as can be repeated, where that is worth knowing.
  ///
  /// - Throws: where there is no answer.
  static func isRepeatable(_ ask: () throws -> Void) throws -> Bool {
    do {
      try ask()
      return true
    } catch OriginRefusal.notStorable {
      return false
    } catch let failure as BackendConnection.Failure {
      switch failure {
      case .answerTooLarge, .malformed: return false
      case .closed, .system: throw failure
      }
    }
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
