import NIOCore
import NIOHPACK
import Testing

@testable import ApusServer

@Suite("HTTP/2: request heads")
struct HTTP2RequestHeadTests {
  private static let usual = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/x?y")]

  private func head(_ fields: [(String, String)], endStream: Bool = true) throws -> HTTP2RequestHead {
    try HTTP2RequestHead(HPACKHeaders(fields), endStream: endStream)
  }

  @Test("a request is written as HTTP/1.1 has it, cookies in one field again")
  func usual() throws {
    let head = try head(Self.usual + [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("te", "trailers")])
    #expect(
      String(buffer: head.bytes) == "GET /x?y HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\ncookie: a=1; b=2\r\n\r\n")
    #expect(!head.isHead && !head.isChunked)
  }

  @Test("a body has the length the client gives, or is written in chunks")
  func bodies() throws {
    let post = [(":method", "POST"), (":scheme", "https"), (":authority", "a"), (":path", "/")]
    #expect(String(buffer: try head(post, endStream: false).bytes).hasSuffix("\r\ntransfer-encoding: chunked\r\n\r\n"))
    let known = try head(post + [("content-length", "3")], endStream: false)
    #expect(!known.isChunked && String(buffer: known.bytes).hasSuffix("\r\ncontent-length: 3\r\n\r\n"))
    #expect(
      try head([(":method", "OPTIONS"), (":scheme", "https"), (":authority", "a"), (":path", "*")]).bytes.readableBytes
        > 0)
  }

  /// Each of them has been, or could be, another request in HTTP/1.
  static let malformed: [[(String, String)]] = [
    [("x", "y\r\nhost: b")], [("x", "y\nz")], [("x", "y\r")], [("x", "\u{0}")], [("x\r\nhost", "b")], [("x: y", "z")],
    [("X-Upper", "1")], [("", "1")], [("transfer-encoding", "chunked")], [("connection", "close")],
    [("keep-alive", "1")], [("proxy-connection", "x")], [("upgrade", "websocket")], [("te", "gzip")],
    [("host", "b.test")], [("host", "a.test"), ("host", "a.test")],
  ]

  @Test("what would be another request in HTTP/1 is refused", arguments: malformed.indices)
  func smuggling(index: Int) {
    #expect(throws: HTTP2RequestHead.Malformed.self) { try head(Self.usual + Self.malformed[index]) }
  }

  @Test(
    "so are pseudo-header fields that are none",
    arguments: [
      [":method": "GET / HTTP/1.1\r\nx: y"], [":method": ""], [":path": "/ HTTP/1.1\r\nx: y"], [":path": "x"],
      [":path": ""], [":path": "*"], [":path": "/#x"], [":path": "http://b/"], [":scheme": "ftp"],
      [":authority": "a\r\nb"],
    ])
  func pseudoHeaders(changed: [String: String]) {
    #expect(throws: HTTP2RequestHead.Malformed.self) {
      try head(Self.usual.map { ($0.0, changed[$0.0] ?? $0.1) })
    }
  }

  @Test("without one of them there is no request", arguments: [":method", ":scheme", ":path"])
  func missing(name: String) {
    #expect(throws: HTTP2RequestHead.Malformed.self) { try head(Self.usual.filter { $0.0 != name }) }
    #expect(throws: HTTP2RequestHead.Malformed.self) { try head(Self.usual + Self.usual.filter { $0.0 == name }) }
  }
}
