import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// A server behind that compresses: which answers are kept for which values of Accept-Encoding.
@Suite struct BackendEncodingsTests {
  static let request = ObjectRequest(key: ObjectKey("/f"), host: Array("example.org".utf8))
  static let all: [String?] = [nil] + BackendEncodings.values

  private static func value(in head: String) -> String? {
    head.split(separator: "\r\n").first { $0.hasPrefix("Accept-Encoding: ") }.map { String($0.dropFirst(17)) }
  }
  private static func wantsGzip(_ head: String) -> Bool { value(in: head)?.contains("gzip") == true }

  /// In chunks of so many bytes (RFC 9112 section 7.1).
  private static func chunks(_ text: String, of size: Int) -> String {
    var rest = Substring(text)
    var chunks = ""
    while !rest.isEmpty {
      let chunk = rest.prefix(size)
      chunks += String(chunk.utf8.count, radix: 16) + "\r\n" + chunk + "\r\n"
      rest = rest.dropFirst(size)
    }
    return chunks + "0\r\n\r\n"
  }

  func compose(
    root: String? = nil, request: ObjectRequest = request, watch: (NameDependency) throws -> Void = { _ in },
    _ change: @escaping @Sendable (inout CannedAnswer, String) -> Void
  ) throws -> ComposedObject {
    let server = TestServer { head in
      var answer = CannedAnswer()
      answer.fields.append("Cache-Control: max-age=60")
      change(&answer, head)
      return answer.reply(to: head)
    }
    return try Backend(endpoint: server.endpoint, root: root).compose(request, watch: watch)
  }

  /// A body of its own for those who take gzip.
  static func compress(_ answer: inout CannedAnswer, _ head: String) {
    guard wantsGzip(head) else { return }
    answer.body = "compressed"
    answer.fields.append("Content-Encoding: gzip")
  }

  /// The body for each value, as text; values without one are left out.
  private func bodies(_ object: ComposedObject) -> [String?: String] {
    var bodies: [String?: String] = [:]
    for entry in object.encodings {
      guard case .stored(let answer) = object.representations[entry.representation] else { continue }
      bodies[entry.value.map { String(decoding: $0, as: UTF8.self) }] = String(decoding: answer.body, as: UTF8.self)
    }
    return bodies
  }

  @Test func `each value gets what the server says to it`() throws {
    let object = try compose(Self.compress)
    let bodies = bodies(object)
    #expect(bodies.count == Self.all.count)
    for value in Self.all {
      #expect(bodies[value] == (value?.contains("gzip") == true ? "compressed" : "body"), "\(value ?? "absent")")
    }
    // Two answers, whatever the number of values.
    #expect(object.representations.count { if case .stored = $0 { true } else { false } } == 2)
    #expect(object.heads.allSatisfy { $0 != nil })
    guard case .stored(let coded) = object.representations[1] else { return }
    #expect(coded.heads.map { $0 != nil } == [true, true, false, false], "only HTTP/1.1")
    #expect(coded.answersHead)
    for case .some(let head) in coded.heads { #expect(AgeField.ends(head.bytes)) }
    _ = try Record(object, for: Self.request.key, hash: 1)
  }

  @Test func `with Vary each value is asked for, even where all answers are the same`() throws {
    let log = Log()
    let object = try compose { answer, head in
      answer.fields.append("Vary: Accept-Encoding")
      log.heads.withLock { $0.append(head) }
    }
    #expect(log.heads.withLock { $0.contains { $0.contains("HTTP/1.0") && $0.contains("gzip, deflate, br") } })
    #expect(bodies(object) == Dictionary(uniqueKeysWithValues: Self.all.map { ($0, "body") }))
    #expect(object.encodings.allSatisfy { $0.representation == 0 })
    let same = try compose { _, _ in }
    #expect(same.encodings.isEmpty, "without Vary and without a difference it is for everybody")
  }

  private final class Log: Sendable { let heads = Mutex<[String]>([]) }

  @Test func `a value whose HTTP1_0 answers differ has an answer of its own`() throws {
    let object = try compose { answer, head in
      answer.fields.append("Vary: Accept-Encoding")
      if head.contains("HTTP/1.0"), Self.value(in: head) == "gzip" { answer.fields.append("X: y") }
    }
    #expect(bodies(object).count == Self.all.count)
    #expect(object.encodings.first { $0.value == Array("gzip".utf8) }?.representation == 1)
    #expect(object.encodings.count { $0.representation == 1 } == 1)
  }

  @Test func `chunked bodies are repeated with their framing`() throws {
    let content = String(repeating: "compressed", count: 20)
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.wantsGzip(head) {
        (answer.body, answer.framing) = (Self.chunks(content, of: 64), ["Transfer-Encoding: chunked"])
      }
    }
    #expect(bodies(object)["gzip"] == Self.chunks(content, of: 64))
    #expect(bodies(object)[nil] == "body")
  }

  @Test func `chunks that are cut differently each time are not kept`() throws {
    let size = Counter()
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.value(in: head) == "gzip" {
        (answer.body, answer.framing) = (Self.chunks("compressed", of: size.next()), ["Transfer-Encoding: chunked"])
      }
    }
    #expect(bodies(object)["gzip"] == nil)
    #expect(bodies(object)["gzip, deflate"] == "compressed")
  }

  private final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    func next() -> Int { value.add(1, ordering: .relaxed).oldValue % 7 + 1 }
  }

  @Test(arguments: [
    "5;x=y\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "5\r\nhello0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "000000005\r\nhello\r\n0\r\n\r\n",
    "ffffffff\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nmore",
  ])
  func `chunks of another form are not kept`(body: String) throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.value(in: head) == "gzip" { (answer.body, answer.framing) = (body, ["Transfer-Encoding: chunked"]) }
    }
    #expect(bodies(object)["gzip"] == nil && bodies(object).count == Self.all.count - 1)
  }

  @Test(arguments: [
    ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: chunked", "Content-Length: 15"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Trailer: X"],
  ])
  func `only chunked alone is understood`(framing: [String]) throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.value(in: head) == "gzip" { (answer.body, answer.framing) = ("5\r\nhello\r\n0\r\n\r\n", framing) }
    }
    #expect(bodies(object)["gzip"] == nil)
  }

  @Test func `what the server does not repeat, or must not be kept, is left to it`() throws {
    let changes: [@Sendable (inout CannedAnswer, String) -> Void] = [
      { answer, _ in answer.fields.append("Set-Cookie: a=b") },
      { answer, _ in answer.fields[3] = "Cache-Control: no-store" },
      { answer, _ in answer.status = "406 Not Acceptable" },
      { answer, _ in answer.fields[4] = "Content-Encoding: compress" },
      { answer, _ in answer.fields[4] = "Content-Encoding: gzip, br" }, { answer, _ in answer.fields.remove(at: 4) },
      { answer, _ in answer.fields.append("Vary: Accept-Encoding, Cookie") },
      { answer, head in if head.contains("Cookie") { answer.body = "mine" } },
      { answer, head in if head.contains("Mozilla") { answer.fields.append("X: y") } },
      { answer, head in if head.contains("Connection: close") { answer.body = "closing" } },
      { answer, _ in answer.body = String(repeating: "x", count: Limits.responseBytesMax) },
    ]
    for (index, change) in changes.enumerated() {
      let object = try compose { answer, head in
        Self.compress(&answer, head)
        if Self.value(in: head) == "gzip" { change(&answer, head) }
      }
      #expect(bodies(object)["gzip"] == nil, "\(index)")
      #expect(bodies(object)["gzip, deflate"] == "compressed", "\(index)")
    }
  }

  @Test func `the shortest time and the oldest answer count for all of them`() throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.wantsGzip(head) { answer.fields.append("Age: 50") }
    }
    #expect(try #require(object.expires_ns) <= MonotonicClock.now_ns() + 10_000_000_000)
    let plain = try compose { _, _ in }
    #expect(try #require(plain.ageBase_s) - (try #require(object.ageBase_s)) >= 49)
  }

  @Test func `a connection that says keep-alive is handed over for all if one of them differs`() throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.wantsGzip(head), head.contains("Connection: keep-alive") { answer.fields.append("X: y") }
    }
    #expect(object.keepAliveDiffers)
  }

  @Test func `conditions are learned for each of them`() throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      let tag = Self.wantsGzip(head) ? "\"gz\"" : "\"1\""
      answer.fields[2] = "ETag: \(tag)"
      if head.contains("If-None-Match: \(tag)\r\n") || head.contains("If-Modified-Since") {
        answer.status = "304 Not Modified"
        (answer.body, answer.framing) = ("", [])
      }
    }
    let tags = [0, 1].map { index -> String? in
      guard case .stored(let answer) = object.representations[index],
        case .repeated(let validators, _) = answer.conditions
      else { return nil }
      return String(decoding: validators.tag, as: UTF8.self)
    }
    #expect(tags == ["\"1\"", "\"gz\""])
    // nginx says the tag of the file in its 304, not the weak one of what it compressed.
    let other = try compose { answer, head in
      Self.compress(&answer, head)
      if Self.wantsGzip(head) { answer.fields[2] = "ETag: W/\"1\"" }
      if head.contains("If-") {
        (answer.status, answer.body, answer.framing) = ("304 Not Modified", "", [])
        answer.fields[2] = "ETag: \"1\""
      }
    }
    guard case .stored(let coded) = other.representations[1], case .unknown = coded.conditions else {
      Issue.record("repeated all the same")
      return
    }
  }

  @Test func `values with the same answer and other conditions are told apart`() throws {
    let object = try compose { answer, head in
      Self.compress(&answer, head)
      guard head.contains("If-None-Match: \"1\"") || head.contains("If-Modified-Since") else { return }
      (answer.status, answer.body, answer.framing) = ("304 Not Modified", "", [])
      if Self.value(in: head) == "gzip" { answer.fields.append("X: y") }
    }
    let places = object.encodings.map(\.representation)
    #expect(places[2] != places[3] && Set(places).count == 3)
  }

  @Test func `no more answers are kept than a record has room for`() throws {
    let four = try compose { answer, head in
      guard let value = Self.value(in: head) else { return }
      answer.body = "as \(value)"
      answer.fields.append("Content-Encoding: gzip")
    }
    #expect(bodies(four).count == 4)
    let large = try compose { answer, head in
      guard let value = Self.value(in: head) else { return }
      answer.body = value + String(repeating: "x", count: 15_000 - value.utf8.count)
      answer.fields.append("Content-Encoding: gzip")
    }
    #expect(bodies(large).count == 3, "a plain one and two of 15,000 bytes")
    _ = try Record(large, for: Self.request.key, hash: 1)
  }

  @Test func `without a Host only requests without the field are answered`() throws {
    let object = try compose(request: ObjectRequest(key: ObjectKey("/f"), host: []), Self.compress)
    #expect(bodies(object) == [nil: "body"])
  }

  @Test func `a renewal learns all of it anew`() throws {
    let test = TestMemory()
    let store = ObjectStore(memory: test.memory, pathSeed: 1)
    try store.insert(try compose(Self.compress), for: Self.request.key)
    #expect(store.read(Self.request.key) == nil, "a renewal by 304 would know only of the plain answer")
  }

  // MARK: With a watched root

  @Test func `a file's coded answers are kept beside it, and its side-cars watched`() throws {
    let directory = ChangingDirectory()
    directory.write("f", "body")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    var watched: [NameDependency] = []
    let object = try compose(root: directory.path, watch: { watched.append($0) }, Self.compress)
    #expect(bodies(object)["gzip"] == "compressed" && bodies(object)[nil] == "body")
    #expect(object.ageBase_s == nil && object.heads.allSatisfy { $0?.dateOffset != nil })
    for name in ["f", "f.gz", "f.br", "f.zst"] {
      #expect(watched.contains(NameDependency(directory: directory.path, name: name)), "\(name)")
    }
  }

  @Test func `an answer that says no coding must be the file`() throws {
    let directory = ChangingDirectory()
    directory.write("f", "body")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let object = try compose(root: directory.path) { answer, head in
      if Self.wantsGzip(head) { answer.body = "other" }
    }
    #expect(bodies(object) == [nil: "body", "identity": "body"])
  }

  @Test func `a coded answer that is older than the file is left to the server`() throws {
    let directory = ChangingDirectory()
    directory.write("f", "body")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let stale: [@Sendable (inout CannedAnswer) -> Void] = [
      { $0.fields[1] = "Last-Modified: Sun, 06 Nov 1994 08:49:36 GMT" }, { $0.fields.remove(at: 1) },
      { $0.fields[2] = "ETag: W/\"0\"" },
    ]
    for (index, change) in stale.enumerated() {
      let object = try compose(root: directory.path) { answer, head in
        Self.compress(&answer, head)
        if Self.value(in: head) == "gzip" { change(&answer) }
      }
      #expect(bodies(object)["gzip"] == nil && bodies(object)["gzip, deflate"] != nil, "\(index)")
    }
    for tag in ["W/\"1\"", "\"1-gzip\""] {
      let object = try compose(root: directory.path) { answer, head in
        Self.compress(&answer, head)
        if Self.wantsGzip(head) { answer.fields[2] = "ETag: \(tag)" }
      }
      #expect(bodies(object)["gzip"] == "compressed", "\(tag)")
    }
  }

  @Test func `a file that changes meanwhile is not stored with its old coded answer`() {
    let directory = ChangingDirectory()
    directory.write("f", "body")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    #expect(throws: OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)) {
      try compose(root: directory.path) { answer, head in
        Self.compress(&answer, head)
        if Self.value(in: head) == "deflate, gzip" { directory.write("f", "bodY") }
      }
    }
  }

  @Test func `a large file is kept in its codings, and only if it is the file`() throws {
    let directory = ChangingDirectory()
    let content = String(repeating: "x", count: Limits.responseBytesMax * 2)
    directory.write("f", content)
    directory.write("vast", String(repeating: "x", count: Backend.Settings.fileBytesMax + 1))
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let object = try compose(root: directory.path) { answer, head in
      answer.body = content
      Self.compress(&answer, head)
    }
    #expect(bodies(object).count == Self.all.count - 2 && bodies(object)["gzip"] == "compressed")
    #expect(object.encodings.first == ComposedObject.EncodingEntry(value: nil, representation: 0))
    guard case .elsewhere = object.representations[0] else { throw OriginRefusal.failed("a plain answer is kept") }
    _ = try Record(object, for: Self.request.key, hash: 1)
    #expect(throws: OriginRefusal.notStorable("the answer is not the file")) {
      try compose(root: directory.path) { answer, head in
        answer.body = String(content.dropLast()) + "y"
        Self.compress(&answer, head)
      }
    }
    #expect(throws: OriginRefusal.notStorable("too large")) {
      try compose(root: directory.path) { answer, _ in answer.body = content }
    }
    let vast = ObjectRequest(key: ObjectKey("/vast"), host: Self.request.host)
    #expect(throws: OriginRefusal.notStorable("too large")) {
      try compose(root: directory.path, request: vast) { _, _ in Issue.record("asked for") }
    }
  }

  @Test func `without a root a large answer is kept in its codings while they are fresh`() throws {
    let object = try compose { answer, head in
      answer.body = String(repeating: "x", count: Limits.responseBytesMax)
      Self.compress(&answer, head)
    }
    #expect(bodies(object).count == Self.all.count - 2 && bodies(object)["gzip"] == "compressed")
    #expect(object.ageBase_s != nil && object.expires_ns != nil)
    #expect(throws: OriginRefusal.notStorable("too large")) {
      try compose { answer, head in
        answer.body = String(repeating: "x", count: Limits.responseBytesMax)
        Self.compress(&answer, head)
        if Self.wantsGzip(head) { answer.fields[3] = "Cache-Control: no-store" }
      }
    }
  }
}
