import Testing

@testable import ApusServer

/// A request and what becomes of it. CRLF is written `⏎` to keep the table readable.
struct ParserCase: Sendable, CustomTestStringConvertible {
  var input: String
  var expected: Expected
  var testDescription: String { input.isEmpty ? "(empty)" : String(input.prefix(60)) }

  enum Expected: Sendable, Equatable {
    case incomplete
    /// How it is answered: the method, the path, whether the connection persists, the bytes left over.
    case request(RequestMethod, String, persistent: Bool, rest: Int)
    case failed(Status)
  }

  init(_ input: String, _ expected: Expected) {
    self.input = input
    self.expected = expected
  }

  static func ok(
    _ input: String, _ method: RequestMethod = .get, _ path: String = "/", persistent: Bool = true, rest: Int = 0
  ) -> ParserCase {
    ParserCase(input, .request(method, path, persistent: persistent, rest: rest))
  }

  var bytes: [UInt8] { Array(input.replacingOccurrences(of: "⏎", with: "\r\n").utf8) }
}

extension String {
  func replacingOccurrences(of target: Character, with text: String) -> String {
    reduce(into: "") { result, character in
      if character == target { result += text } else { result.append(character) }
    }
  }
}

let hostLine = "Host: a⏎"

let acceptedRequests: [ParserCase] = [
  .ok("GET / HTTP/1.1⏎Host: a⏎⏎"),
  .ok("HEAD /x HTTP/1.1⏎Host: a⏎⏎", .head, "/x"),
  .ok("OPTIONS * HTTP/1.1⏎Host: a⏎⏎", .options, ""),
  .ok("OPTIONS /x HTTP/1.1⏎Host: a⏎⏎", .options, "/x"),
  .ok("POST / HTTP/1.1⏎Host: a⏎⏎", .notAllowed),
  .ok("PUT / HTTP/1.1⏎Host: a⏎⏎", .notAllowed),
  .ok("DELETE / HTTP/1.1⏎Host: a⏎⏎", .notAllowed),
  .ok("PATCH / HTTP/1.1⏎Host: a⏎⏎", .notAllowed),
  .ok("TRACE / HTTP/1.1⏎Host: a⏎⏎", .notAllowed),
  .ok("CONNECT a:443 HTTP/1.1⏎Host: a:443⏎⏎", .notAllowed, ""),
  .ok("BREW / HTTP/1.1⏎Host: a⏎⏎", .unknown),
  .ok("get / HTTP/1.1⏎Host: a⏎⏎", .unknown),
  .ok("M-SEARCH!#$%&'*+-.^_`|~ / HTTP/1.1⏎Host: a⏎⏎", .unknown),
  // Targets.
  .ok("GET /a/b.html?c=d&e HTTP/1.1⏎Host: a⏎⏎", .get, "/a/b.html"),
  .ok("GET /? HTTP/1.1⏎Host: a⏎⏎"),
  .ok("GET /a?b?c/d HTTP/1.1⏎Host: a⏎⏎", .get, "/a"),
  .ok("GET //a//b HTTP/1.1⏎Host: a⏎⏎", .get, "//a//b"),
  .ok("GET /%41%zz HTTP/1.1⏎Host: a⏎⏎", .get, "/%41%zz"),
  .ok("GET /ü HTTP/1.1⏎Host: a⏎⏎", .get, "/ü"),
  .ok("GET /\"<>\\^`{|} HTTP/1.1⏎Host: a⏎⏎", .get, "/\"<>\\^`{|}"),
  .ok("GET http://a/x?y HTTP/1.1⏎Host: a⏎⏎", .get, "/x"),
  .ok("GET HTTP://a:80/x HTTP/1.1⏎Host: b⏎⏎", .get, "/x"),
  .ok("GET http://a HTTP/1.1⏎Host: a⏎⏎", .get, ""),
  .ok("GET http://a?b HTTP/1.1⏎Host: a⏎⏎", .get, ""),
  .ok("GET http://[::1]:8080/ HTTP/1.1⏎Host: a⏎⏎"),
  // Versions and persistence (RFC 9112 section 9.3).
  .ok("GET / HTTP/1.0⏎⏎", persistent: false),
  .ok("GET / HTTP/1.0⏎Host: a⏎⏎", persistent: false),
  .ok("GET / HTTP/1.0⏎Connection: keep-alive⏎⏎", persistent: true),
  .ok("GET / HTTP/1.0⏎Connection: Keep-Alive, close⏎⏎", persistent: false),
  .ok("GET / HTTP/1.2⏎Host: a⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: close⏎⏎", persistent: false),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: CLOSE⏎⏎", persistent: false),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: te, close , x⏎⏎", persistent: false),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: te⏎Connection: close⏎⏎", persistent: false),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: closed⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: a⏎Connection: upgrade⏎Upgrade: h2c⏎⏎"),
  // Field lines.
  .ok("GET / HTTP/1.1⏎hOsT:a⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host:  \t a \t ⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host:⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: a.example:8080⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: [2001:db8::1]⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: [2001:db8::1]:80⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: under_score.example⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: a⏎X:⏎Y: a\tb ü⏎⏎"),
  .ok("GET / HTTP/1.1⏎Host: a⏎Range: bytes=0-1⏎⏎"),
  // Empty lines before the request line (RFC 9112 section 2.2).
  .ok("⏎GET / HTTP/1.1⏎Host: a⏎⏎"),
  .ok("⏎⏎⏎⏎GET / HTTP/1.1⏎Host: a⏎⏎"),
  // Bodies.
  .ok("GET / HTTP/1.1⏎Host: a⏎Content-Length: 0⏎⏎"),
  .ok("POST / HTTP/1.1⏎Host: a⏎Content-Length: 3⏎⏎abc", .notAllowed),
  .ok("POST / HTTP/1.1⏎Host: a⏎Content-Length: 00003⏎⏎abcGET", .notAllowed, rest: 3),
  .ok("GET / HTTP/1.1⏎Host: a⏎Content-Length: 65537⏎⏎"),
  .ok("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎0⏎⏎", .notAllowed),
  .ok("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: Chunked⏎⏎3⏎abc⏎a;x=y⏎0123456789⏎0⏎⏎G", .notAllowed, rest: 1),
  .ok("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎1 ;x⏎a⏎000⏎T: v⏎⏎", .notAllowed),
  .ok("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: , chunked ,⏎⏎0⏎⏎", .notAllowed),
  .ok("POST / HTTP/1.1⏎Host: a⏎Content-Length: 3⏎Expect: 100-continue⏎⏎", .notAllowed),
  .ok("POST / HTTP/1.0⏎Content-Length: 1⏎Expect: what⏎⏎a", .notAllowed, persistent: false),
  // Pipelining.
  .ok("GET / HTTP/1.1⏎Host: a⏎⏎GET /2 HTTP/1.1⏎", rest: 17),
]

let incompleteRequests: [ParserCase] = [
  ParserCase("", .incomplete),
  ParserCase("⏎", .incomplete),
  ParserCase("G", .incomplete),
  ParserCase("GET / HTTP/1.1⏎", .incomplete),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎", .incomplete),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎\r", .incomplete),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 3⏎⏎ab", .incomplete),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎", .incomplete),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎3⏎abc", .incomplete),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎0⏎", .incomplete),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎0⏎T: v⏎", .incomplete),
]

let rejectedRequests: [ParserCase] = [
  // Request lines.
  ParserCase("GET / HTTP/1.1\nHost: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a\n\n", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎\n", .failed(.badRequest)),
  ParserCase("\nGET / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1\rHost: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1\r⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("\rGET / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase(" GET / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET  / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /  HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1 ⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET\t/\tHTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /a b HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /⏎", .failed(.badRequest)),
  ParserCase("G(T / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("\u{16}\u{3}\u{1}", .failed(.badRequest)),
  ParserCase("⏎⏎⏎⏎⏎GET / HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/2.0⏎Host: a⏎⏎", .failed(.versionNotSupported)),
  ParserCase("PRI * HTTP/2.0⏎⏎SM⏎⏎", .failed(.versionNotSupported)),
  ParserCase("GET / HTTP/0.9⏎Host: a⏎⏎", .failed(.versionNotSupported)),
  ParserCase("GET / http/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.10⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/11⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.x⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTPS/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  // Targets.
  ParserCase("GET * HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET a HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /a#b HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /\u{0} HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET /\u{7f} HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET http:///x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET http://:80/x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET http://u@a/x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET http://a:b/x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET ftp://a/x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET https://a/x HTTP/1.1⏎Host: a⏎⏎", .failed(.misdirectedRequest)),
  ParserCase("CONNECT /x HTTP/1.1⏎Host: a⏎⏎", .failed(.badRequest)),
  // Field lines.
  ParserCase("GET / HTTP/1.1⏎Host : a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎ folded⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎\tfolded⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎ Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎: b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎noColon⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X(: b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X: a\rb⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X: a\u{0}b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X: a\u{7f}b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X\u{0}: b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎X: a\r⏎⏎", .failed(.badRequest)),
  // Host.
  ParserCase("GET / HTTP/1.1⏎⏎", .failed(.badRequest)),
  ParserCase("GET http://a/ HTTP/1.1⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎Host: a⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.0⏎Host: a⏎Host: b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a, b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a/b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a@b⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a:80x⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: [::1⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: []⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: [::1]x⏎⏎", .failed(.badRequest)),
  // Framing (RFC 9112 section 6).
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 1⏎Transfer-Encoding: chunked⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎Content-Length: 1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 1⏎Content-Length: 1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 1, 1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: -1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: +1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 0x1⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length:⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Content-Length: 18446744073709551617⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: gzip⏎⏎", .failed(.notImplemented)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: gzip, chunked⏎⏎", .failed(.notImplemented)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: identity⏎⏎", .failed(.notImplemented)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: xchunked⏎⏎", .failed(.notImplemented)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding:⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked, chunked⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked, gzip⏎⏎", .failed(.badRequest)),
  ParserCase(
    "POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎Transfer-Encoding: chunked⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.0⏎Host: a⏎Transfer-Encoding: chunked⏎⏎", .failed(.badRequest)),
  ParserCase("GET / HTTP/1.1⏎Host: a⏎Expect: 200-ok⏎⏎", .failed(.expectationFailed)),
  // Chunks (RFC 9112 section 7.1).
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎x⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎ 1⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎1 x⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎1\n", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎1⏎ab⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎1⏎a\n\n", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎-1⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎00000000000000001⏎", .failed(.badRequest)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎fffffffffffffffff⏎", .failed(.contentTooLarge)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎10001⏎", .failed(.contentTooLarge)),
  ParserCase("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎0⏎bad trailer⏎⏎", .failed(.badRequest)),
]

@Suite("Request parser (RFC 9112)")
struct RequestParserTests {
  /// What a parser says that is given the bytes in these portions, and the bytes it had been given by then.
  func parse(_ bytes: [UInt8], cuts: [Int]) -> ParserCase.Expected {
    var parser = RequestParser()
    var last = ParserCase.Expected.incomplete
    for cut in cuts + [bytes.count] {
      // The exact length: reading beyond the end is for the address sanitizer to see.
      let portion = Array(bytes[..<cut])
      let outcome = portion.withUnsafeBytes { parser.parse($0) }
      switch outcome {
      case .incomplete: last = .incomplete
      case .failed(let error): return .failed(error.status)
      case .request(let head, let length):
        return .request(
          head.method, text(bytes[head.path]), persistent: head.isPersistent, rest: bytes.count - length)
      }
    }
    return last
  }

  @Test(
    "every case of the table, whole, byte by byte and cut in two at every byte",
    arguments: acceptedRequests + incompleteRequests + rejectedRequests)
  func table(_ testCase: ParserCase) {
    let bytes = testCase.bytes
    #expect(parse(bytes, cuts: []) == testCase.expected)
    #expect(parse(bytes, cuts: Array(0..<bytes.count)) == testCase.expected)
    for cut in 0..<bytes.count {
      #expect(parse(bytes, cuts: [cut]) == testCase.expected, "cut at \(cut)")
    }
  }

  @Test("accepted requests are incomplete up to their last byte", arguments: acceptedRequests)
  func prefixes(_ testCase: ParserCase) {
    guard case .request(_, _, _, let rest) = testCase.expected else { return }
    let bytes = testCase.bytes
    for end in 0..<bytes.count - rest {
      #expect(parse(Array(bytes[..<end]), cuts: []) == .incomplete)
    }
  }

  func head(_ request: String) throws -> (RequestHead, [UInt8]) {
    let bytes = ParserCase(request, .incomplete).bytes
    var parser = RequestParser()
    guard case .request(let head, _) = bytes.withUnsafeBytes({ parser.parse($0) }) else {
      throw RequestError(.badRequest, "not parsed")
    }
    return (head, bytes)
  }

  @Test("what the answer needs is found: host, query, conditions")
  func ranges() throws {
    let (head, bytes) = try head(
      """
      GET /a?b=c HTTP/1.1⏎Host:  h.example:80 ⏎If-None-Match: "x", "y" ⏎If-None-Match: "z"⏎\
      If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT⏎IF-MATCH: *⏎If-Unmodified-Since: a⏎\
      If-Unmodified-Since: b⏎If-Range: "x"⏎⏎
      """)
    #expect(text(bytes[head.host]) == "h.example:80")
    #expect(text(bytes[head.query]) == "?b=c")
    let conditions = try #require(head.conditions)
    #expect(conditions.ifNoneMatch.map { text(bytes[$0]) } == ["\"x\", \"y\"", "\"z\""])
    #expect(text(bytes[try #require(conditions.ifModifiedSince)]) == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(conditions.ifMatch.map { text(bytes[$0]) } == ["*"])
    #expect(conditions.ifUnmodifiedSince == 0..<0, "a date given twice is none")
    #expect(head.is11 && !head.hasBody)
  }

  @Test("the authority of an absolute target goes before Host (RFC 9112 section 3.2.2)")
  func absoluteHost() throws {
    for request in ["GET http://t:1/ HTTP/1.1⏎Host: h⏎⏎", "GET http://t:1 HTTP/1.1⏎Host: h⏎⏎"] {
      let (head, bytes) = try head(request)
      #expect(text(bytes[head.host]) == "t:1")
    }
  }

  @Test("a body that is waited for or too large is left, and said to be")
  func leftBodies() throws {
    #expect(try head("POST / HTTP/1.1⏎Host: a⏎Content-Length: 65537⏎⏎").0.bodyIsTooLarge)
    #expect(try head("POST / HTTP/1.1⏎Host: a⏎Content-Length: 65537⏎⏎").0.leavesBody)
    #expect(try head("POST / HTTP/1.1⏎Host: a⏎Content-Length: 1⏎Expect: 100-continue⏎⏎").0.leavesBody)
    #expect(try head("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎Expect: 100-Continue⏎⏎").0.leavesBody)
    #expect(try !head("GET / HTTP/1.1⏎Host: a⏎Expect: 100-continue⏎⏎").0.leavesBody)
    #expect(try !head("GET / HTTP/1.1⏎Host: a⏎Content-Length: 0⏎Expect: 100-continue⏎⏎").0.leavesBody)
  }

  @Test("limits: the longest is taken, one more is refused")
  func limits() {
    let target = "/" + String(repeating: "a", count: ServerLimits.targetBytesMax - 1)
    #expect(outcome("GET \(target) HTTP/1.1⏎Host: a⏎⏎") == nil)
    #expect(outcome("GET \(target)a HTTP/1.1⏎Host: a⏎⏎") == .targetTooLong)
    #expect(outcome("GET \(target)aaa") == .targetTooLong, "at once, not at the end of the line")
    let method = String(repeating: "M", count: ServerLimits.methodBytesMax)
    #expect(outcome("\(method) / HTTP/1.1⏎Host: a⏎⏎") == nil)
    #expect(outcome("\(method)M / HTTP/1.1⏎Host: a⏎⏎") == .notImplemented)
    #expect(outcome("\(method)MM") == .notImplemented)
    let lines = String(repeating: "a: b⏎", count: ServerLimits.fieldLinesMax - 1)
    #expect(outcome("GET / HTTP/1.1⏎Host: a⏎\(lines)⏎") == nil)
    #expect(outcome("GET / HTTP/1.1⏎Host: a⏎\(lines)a: b⏎⏎") == .headTooLarge)
    // "GET / HTTP/1.1", "Host: a", "X: " and their line ends are 16 + 9 + 3 bytes.
    let value = String(repeating: "v", count: ServerLimits.headBytesMax - 28)
    #expect(outcome("GET / HTTP/1.1⏎Host: a⏎X: \(value)⏎⏎") == .headTooLarge)
    #expect(outcome("GET / HTTP/1.1⏎Host: a⏎X: \(value.dropLast(2))⏎⏎") == nil)
    #expect(outcome("GET / HTTP/1.1⏎Host: a⏎X: \(value)vvv") == .headTooLarge)
    let body = String(repeating: "b", count: ServerLimits.bodyBytesMax)
    #expect(outcome("POST / HTTP/1.1⏎Host: a⏎Content-Length: \(body.utf8.count)⏎⏎\(body)") == nil)
    let chunks = "ffff⏎\(body.dropLast())⏎0⏎⏎"
    #expect(outcome("POST / HTTP/1.1⏎Host: a⏎Transfer-Encoding: chunked⏎⏎\(chunks)") == .contentTooLarge)
  }

  /// The status a request is refused with, `nil` where it is taken; incomplete requests count as neither.
  func outcome(_ request: String) -> Status? {
    switch parse(ParserCase(request, .incomplete).bytes, cuts: []) {
    case .failed(let status): return status
    case .request: return nil
    case .incomplete: return .ok
    }
  }

  @Test("the same parser takes request after request")
  func pipeline() {
    let bytes = Array(String(repeating: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", count: 50).utf8)
    var parser = RequestParser()
    var rest = bytes[...]
    var count = 0
    while !rest.isEmpty {
      guard case .request(let head, let length) = rest.withUnsafeBytes({ parser.parse($0) }) else { break }
      #expect(head.path == 4..<6)
      rest = rest.dropFirst(length)
      count += 1
    }
    #expect(count == 50)
    #expect(parser.isBetweenRequests)
  }

  @Test("no input of random bytes or damaged requests crashes the parser")
  func damaged() {
    var random = SystemRandomNumberGenerator()
    let seeds = (acceptedRequests + rejectedRequests).map(\.bytes)
    for _ in 0..<20_000 {
      var bytes = seeds.randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        if Bool.random(using: &random) {
          bytes[place] = UInt8.random(in: 0...255, using: &random)
        } else {
          bytes.remove(at: place)
        }
        if bytes.isEmpty { bytes = [0] }
      }
      let whole = parse(bytes, cuts: [])
      let cut = Int.random(in: 0..<bytes.count, using: &random)
      #expect(parse(bytes, cuts: [cut]) == whole, "\(bytes)")
    }
  }
}
