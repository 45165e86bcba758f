import Testing

@testable import ApusServer

@Suite("Proxy: what an upstream is sent")
struct ProxyHeadTests {
  @Test("the head is written anew: end-to-end fields in their order, and who asked")
  func head() throws {
    let head = try forwarded("GET /a/b?c=%20d HTTP/1.1\r\nHost: Example.org\r\nCookie: a=b\r\nX-Odd:  spaces \r\n\r\n")
    #expect(
      head == """
        GET /a/b?c=%20d HTTP/1.1\r
        Host: Example.org\r
        Cookie: a=b\r
        X-Odd: spaces\r
        Via: 1.1 apus\r
        Forwarded: for=192.0.2.7;proto=http;host="Example.org"\r
        X-Forwarded-Host: Example.org\r
        X-Forwarded-For: 192.0.2.7\r
        X-Forwarded-Proto: http\r
        \r

        """)
  }

  @Test("fields of one hop, those Connection names, and what a client says of clients are not passed on")
  func hopByHop() throws {
    let removed = [
      "Connection: close, X-Secret", "connection: x-other", "X-Secret: 1", "X-OTHER: 2", "Keep-Alive: timeout=5",
      "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==", "TE: trailers", "Trailer: X-T",
      "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Forwarded: for=10.0.0.1", "X-Forwarded-For: 10.0.0.1",
      "X_Forwarded_For: 10.0.0.1", "x-forwarded_proto: https", "X-Real-IP: 10.0.0.1", "Proxy: http://evil.test/",
      "Expect: 100-continue",
    ]
    let kept = ["Via: 1.0 other", "Accept: */*", "Content-Type: text/plain", "X_Custom: 1"]
    let head = try forwarded(
      "POST / HTTP/1.1\r\nHost: a\r\n" + (removed + kept).map { $0 + "\r\n" }.joined() + "Content-Length: 3\r\n\r\nabc")
    let names = head.split(separator: "\r\n").dropFirst().map { $0.prefix { $0 != ":" }.lowercased() }
    #expect(
      names == [
        "host", "via", "accept", "content-type", "x_custom", "via", "forwarded", "x-forwarded-host", "x-forwarded-for",
        "x-forwarded-proto", "content-length",
      ])
    #expect(!head.contains("10.0.0.1"))
    #expect(head.hasSuffix("Content-Length: 3\r\n\r\n"))
  }

  @Test("a change of protocol is passed on for WebSocket, and for nothing else")
  func upgrade() throws {
    let fields = "Host: a\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\n"
    #expect(
      try forwarded("GET / HTTP/1.1\r\n\(fields)Upgrade: WebSocket\r\n\r\n")
        .hasSuffix("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
    for request in [
      "GET / HTTP/1.1\r\n\(fields)Upgrade: h2c\r\n\r\n", "GET / HTTP/1.1\r\n\(fields)Upgrade: h2c, websocket\r\n\r\n",
      "GET / HTTP/1.0\r\n\(fields)Upgrade: websocket\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
      "POST / HTTP/1.1\r\n\(fields)Upgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
    ] {
      #expect(try !forwarded(request).lowercased().contains("upgrade"), "\(request)")
    }
  }

  @Test("targets keep their bytes; an absolute one becomes a path, and its host the Host")
  func targets() throws {
    func line(_ request: String) throws -> [Substring] {
      Array(try forwarded(request).split(separator: "\r\n").prefix(2))
    }
    #expect(
      try line("GET http://b.test:81?x HTTP/1.1\r\nHost: a\r\n\r\n") == ["GET /?x HTTP/1.1", "Host: b.test:81"])
    #expect(
      try line("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") == ["OPTIONS * HTTP/1.1", "Host: a"])
    #expect(
      try line("GET //x/../%2e%2F HTTP/1.0\r\n\r\n") == ["GET //x/../%2e%2F HTTP/1.1", "Host: app.test:3000"])
  }

  @Test("client addresses of IPv6 are written as RFC 7239 wants them")
  func addresses() throws {
    let head = try forwarded("GET / HTTP/1.1\r\nHost: a\r\n\r\n", from: "2001:db8::1", isTLS: true)
    #expect(head.contains("Forwarded: for=\"[2001:db8::1]\";proto=https;host=\"a\"\r\n"))
    #expect(head.contains("X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\n"))
  }

  @Test("CONNECT and TRACE are not passed on, and a request that goes in a circle is stopped")
  func refused() {
    for method in ["CONNECT a:80", "TRACE /"] {
      #expect(throws: ProxyRequest.Refusal.methodNotAllowed) {
        try forwarded("\(method) HTTP/1.1\r\nHost: a:80\r\n\r\n")
      }
    }
    func passed(_ times: Int) -> String {
      "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "Via: 1.1 apus\r\n", count: times) + "\r\n"
    }
    #expect(throws: Never.self) { try forwarded(passed(ProxyLimits.passesMax - 1)) }
    #expect(throws: ProxyRequest.Refusal.loop) { try forwarded(passed(ProxyLimits.passesMax)) }
  }

  @Test("URLs of upstreams, and what is wrong with others")
  func urls() throws {
    let good = [
      ("http://127.0.0.1:3000", "127.0.0.1", 3000, false), ("HTTP://app.test/", "app.test", 80, false),
      ("https://app.test", "app.test", 443, true), ("http://[::1]:81", "::1", 81, false),
    ]
    for (text, host, port, isTLS) in good {
      #expect(try UpstreamURL(parsing: text) == UpstreamURL(isTLS: isTLS, host: host, port: UInt16(port)), "\(text)")
    }
    #expect(try UpstreamURL(parsing: "http://[::1]:81").authority == "[::1]:81")
    #expect(try UpstreamURL(parsing: "https://app.test:443").description == "https://app.test")
    let bad = [
      ("127.0.0.1:3000", "no http"), ("http://", "no host"), ("http://a:0", "no port"), ("http://a:b", "no port"),
      ("http://a/app", "a path"), ("http://u@a", "user name"), ("http://a b", "no host"), ("http://[a]", "no IPv6"),
      ("http://[::1]x", "no port"),
    ]
    for (text, reason) in bad {
      let error = #expect(throws: UpstreamURL.Malformed.self) { try UpstreamURL(parsing: text) }
      #expect(error?.description.contains(reason) == true, "\(text): \(String(describing: error))")
    }
  }
}
