import NIOCore
import Testing

@testable import ApusServer

@Suite("Proxy: where messages end")
struct ProxyFramingTests {
  /// The whole body and what is left behind it, or `nil` where it is refused or does not end.
  private func read(_ framing: BodyFraming, _ text: String, piece: Int = .max) -> (body: String, rest: String)? {
    var reader = BodyReader(framing)
    var body = ByteBuffer()
    var input = ByteBuffer()
    var bytes = Array(text.utf8)[...]
    do {
      while !reader.isEnded {
        while var part = try reader.next(&input) { body.writeBuffer(&part) }
        if reader.isEnded { break }
        guard !bytes.isEmpty else { return nil }
        input.writeBytes(bytes.prefix(piece))
        bytes = bytes.dropFirst(piece)
      }
    } catch {
      return nil
    }
    return (String(buffer: body), String(buffer: input) + String(decoding: bytes, as: UTF8.self))
  }

  @Test("bodies are taken to their last byte, wherever they are cut", arguments: [1, 2, 3, 7, .max])
  func bodies(piece: Int) {
    let cases: [(BodyFraming, String, String)] = [
      (.none, "NEXT", ""), (.length(0), "NEXT", ""), (.length(3), "abcNEXT", "abc"),
      (.chunked, "3\r\nabc\r\n0\r\n\r\nNEXT", "abc"),
      (.chunked, "3;x=\"y\"\r\nabc\r\n00A ; x\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\nNEXT", "abc0123456789"),
    ]
    for (framing, text, body) in cases {
      let result = read(framing, text, piece: piece)
      #expect(result?.body == body, "\(text)")
      #expect(result?.rest == "NEXT", "\(text)")
    }
  }

  @Test(
    "what two recipients could take for different bodies is refused",
    arguments: [
      "3\nabc\r\n0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n",
      "+3\r\nabc\r\n0\r\n\r\n", "-1\r\n", " 3\r\nabc\r\n0\r\n\r\n", "3 3\r\nabc\r\n0\r\n\r\n", "\r\n", ";\r\n",
      "ffffffffffffffff\r\n", "3;\u{1}\r\nabc\r\n0\r\n\r\n", "0\r\n bad\r\n\r\n", "0\r\nT : 1\r\n\r\n", "0\r\nT: 1\n\n",
      "3;" + String(repeating: "x", count: 5000), "0\r\nT: " + String(repeating: "x", count: 20_000) + "\r\n\r\n",
    ])
  func malformedChunks(text: String) {
    #expect(read(.chunked, text + "\r\n\r\n") == nil)
  }

  private func response(_ text: String, toHead: Bool = false) throws -> UpstreamResponse? {
    var input = ByteBuffer(string: text)
    return try UpstreamResponse.next(&input, toHead: toHead)
  }

  @Test("how a response's body ends is decided by RFC 9112 section 6.3")
  func responses() throws {
    let cases: [(String, BodyFraming, Bool)] = [
      ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", .length(5), true),
      ("HTTP/1.1 200\r\nContent-Length: 5, 5\r\n\r\n", .length(5), true),
      ("HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", .chunked, true),
      ("HTTP/1.1 200 OK\r\n\r\n", .untilClose, false), ("HTTP/1.0 200 OK\r\n\r\n", .untilClose, false),
      ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", .length(1), false),
      ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", .length(1), true),
      ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\n", .length(1), false),
      ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", .none, true),
      ("HTTP/1.1 204 No Content\r\n\r\n", .none, true),
    ]
    for (text, framing, isPersistent) in cases {
      let response = try #require(try response(text), "\(text)")
      #expect(response.framing == framing, "\(text)")
      #expect(response.isPersistent == isPersistent, "\(text)")
    }
    let toHead = try #require(try response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", toHead: true))
    #expect(toHead.framing == .none && toHead.contentLength == 5)
    #expect(try response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n") == nil)
  }

  @Test(
    "a response that is not clear is none",
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\u{0}c\r\n\r\n",
      "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 No\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\n\r\n", "hello\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: " + String(repeating: "x", count: ProxyLimits.headBytesMax),
    ])
  func malformedResponses(text: String) {
    #expect(throws: UpstreamResponse.Malformed.self) { try response(text) }
  }
}
