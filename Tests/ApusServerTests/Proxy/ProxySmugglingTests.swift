import Foundation
import Testing

@testable import ApusServer

/// A request that servers have understood differently (RFC 9112 section 11.2), and what must become of it.
struct AmbiguousRequest: Sendable, CustomTestStringConvertible {
  var name: String
  var text: String
  /// `nil`: passed on as one request, whose body is `body`.
  var status: Int?
  var body = ""
  var testDescription: String { name }

  init(_ name: String, _ text: String, refusedWith status: Int = 400) {
    self.name = name
    self.text = text
    self.status = status
  }

  init(_ name: String, _ text: String, body: String) {
    self.name = name
    self.text = text
    self.body = body
  }

  private static let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

  private static func post(_ fields: String, _ body: String) -> String {
    "POST /app HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n\(body)"
  }

  static let all: [AmbiguousRequest] = [
    .init("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + smuggled)),
    .init("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n" + smuggled + "0\r\n\r\n")),
    .init("two lengths", post("Content-Length: 0\r\nContent-Length: 40", smuggled)),
    .init("two equal lengths", post("Content-Length: 3\r\nContent-Length: 3", "abc" + smuggled)),
    .init("a list of lengths", post("Content-Length: 3, 3", "abc" + smuggled)),
    .init("a signed length", post("Content-Length: +3", "abc" + smuggled)),
    .init("a hexadecimal length", post("Content-Length: 0x3", "abc" + smuggled)),
    .init("an empty length", post("Content-Length:", smuggled)),
    .init("a length with a space", post("Content-Length: 1 2", smuggled)),
    .init("a length too large to count", post("Content-Length: 99999999999999999999", smuggled)),
    .init("a space before the colon", post("Content-Length : 40", smuggled)),
    .init("a folded coding", post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n" + smuggled)),
    .init("a folded field", post("X: y\r\n Content-Length: 40", smuggled)),
    .init("a coding with a vertical tab", post("Transfer-Encoding: \u{b}chunked", "0\r\n\r\n" + smuggled)),
    .init("a coding not known", post("Transfer-Encoding: xchunked", "0\r\n\r\n" + smuggled), refusedWith: 501),
    .init("identity", post("Transfer-Encoding: identity", smuggled), refusedWith: 501),
    .init("chunked twice", post("Transfer-Encoding: chunked, chunked", "0\r\n\r\n" + smuggled)),
    .init(
      "chunked in two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + smuggled)),
    .init(
      "chunked, then another", post("Transfer-Encoding: chunked, identity", "0\r\n\r\n" + smuggled), refusedWith: 400),
    .init(
      "a coding in quotation marks", post("Transfer-Encoding: \"chunked\"", "0\r\n\r\n" + smuggled), refusedWith: 501),
    .init(
      "a coding in HTTP/1.0",
      "POST /app HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled),
    .init("line ends without CR", "POST /app HTTP/1.1\nHost: a\nContent-Length: 40\n\n" + smuggled),
    .init("a field that ends without CR", post("X: y\nContent-Length: 40", smuggled)),
    .init("a lone CR in a field", post("X: y\rContent-Length: 40", smuggled)),
    .init("a NUL in a field", post("X: y\u{0}", smuggled)),
    .init("a NUL in a name", post("Content-Length\u{0}: 40", smuggled)),
    .init("two hosts", "GET /app HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    .init("no host", "GET /app HTTP/1.1\r\n\r\n"),
    .init("a space in the target", "GET /app x HTTP/1.1\r\nHost: a\r\n\r\n"),
    .init("a tab in the request line", "GET\t/app HTTP/1.1\r\nHost: a\r\n\r\n"),
    .init("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refusedWith: 505),
    .init("a chunk size with LF only", post("Transfer-Encoding: chunked", "3\nabc\r\n0\r\n\r\n" + smuggled)),
    .init("a chunk longer than its size", post("Transfer-Encoding: chunked", "3\r\nabcd\r\n0\r\n\r\n" + smuggled)),
    .init("a chunk size with 0x", post("Transfer-Encoding: chunked", "0x3\r\nabc\r\n0\r\n\r\n" + smuggled)),
    .init("a chunk size that overflows", post("Transfer-Encoding: chunked", "10000000000000003\r\nabc\r\n0\r\n\r\n")),
    .init("a malformed trailer", post("Transfer-Encoding: chunked", "0\r\nX : y\r\n\r\n" + smuggled)),
    // Clear, and passed on in our own words.
    .init("a chunk extension", post("Transfer-Encoding: chunked", "3;a=\"b\"\r\nabc\r\n0\r\n\r\n"), body: "abc"),
    .init("a trailer", post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n"), body: "abc"),
    .init("CHUNKED", post("Transfer-Encoding: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"), body: "abc"),
    .init(
      "the length named by Connection", post("Content-Length: 3\r\nConnection: Content-Length", "abc"), body: "abc"),
    .init(
      "the coding named by Connection",
      post("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding", "3\r\nabc\r\n0\r\n\r\n"), body: "abc"),
    .init("the host named by Connection", "GET /app HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", body: ""),
  ]
}

@Suite("Proxy: smuggling")
struct ProxySmugglingTests {
  /// An upstream that reads requests as the proxy is to write them, and says what it read.
  private func makeUpstream() -> ScriptedUpstream {
    ScriptedUpstream { received, _ in
      guard let headEnd = received.range(of: "\r\n\r\n") else { return nil }
      let head = received[..<headEnd.lowerBound]
      let body = received[headEnd.upperBound...]
      if head.contains("\r\nTransfer-Encoding: chunked") {
        guard body.hasSuffix("0\r\n\r\n") else { return nil }
      } else if let length = head.split(separator: "\r\n").first(where: { $0.hasPrefix("Content-Length: ") }) {
        guard let count = Int(length.dropFirst(16)), body.utf8.count >= count else { return nil }
      }
      return .ok("seen")
    }
  }

  @Test("a request is refused, or the upstream gets exactly one", arguments: AmbiguousRequest.all)
  func oneRequest(_ request: AmbiguousRequest) async throws {
    let upstream = makeUpstream()
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      try await client.send(request.text)
      client.shutDownSending()
      let answer = String(decoding: try await client.receiveAll(), as: UTF8.self)
      let received = upstream.received.joined()
      #expect(!received.contains("smuggled HTTP/1.1\r\nHost: a\r\nVia") && !answer.contains("seenHTTP/1.1"))
      let heads = received.components(separatedBy: " HTTP/1.1\r\n").count - 1
      #expect(heads <= 1, "\(received)")
      if let status = request.status {
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer.prefix(80))")
        #expect(!answer.contains("seen"))
        // Refused by the head, nothing reaches the upstream at all; by the body, never a whole request.
        #expect(heads == 0 || !received.contains("0\r\n\r\n"), "\(received)")
      } else {
        #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.hasSuffix("seen"), "\(answer.prefix(80))")
        #expect(heads == 1)
        let body = received.components(separatedBy: "\r\n\r\n").dropFirst().joined(separator: "\r\n\r\n")
        let chunked = "3\r\nabc\r\n0\r\n\r\n"
        #expect(body == request.body || (request.body == "abc" && body == chunked), "\(received)")
      }
    }
  }

  @Test(
    "a malformed response is answered 502, and its connection not used again",
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "no HTTP at all\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ])
  func malformedResponse(text: String) async throws {
    let upstream = ScriptedUpstream.answering(.init(text))
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      for _ in 0..<2 { #expect(try await client.exchange(get("/app")).status == 502) }
      #expect(upstream.received.count == 2)
    }
  }

  @Test("bytes behind a response are no response to the next request")
  func trailingBytes() async throws {
    let upstream = ScriptedUpstream.answering(
      .init("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      for _ in 0..<3 { #expect(try await client.exchange(get("/app")).body == Array("ok".utf8)) }
      #expect(upstream.received.count == 3)
    }
  }
}
