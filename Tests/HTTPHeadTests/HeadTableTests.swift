import Contract
import HTTPHead
import HeadReference
import KernelTestSupport
import Testing

/// Heads and what becomes of them, one by one.
@Suite struct HeadTableTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let head: [UInt8]
    let expected: ParsedHead
  }

  @Test("a head is understood as the table says, whatever stands behind it", arguments: accepted + refused + values)
  func table(row: Case) {
    let memory = GuardedHead()
    for garbage in [
      GuardedHead.Garbage.random, .byte(0), .byte(0x20), .byte(0x0d), .byte(0x0a), .byte(0x3a), .previous,
    ] {
      #expect(memory.parse(row.head, garbage: garbage) == row.expected, "\(garbage)")
    }
  }

  @Test("the table has as many rows as it should") func rows() {
    #expect(Self.accepted.count + Self.refused.count + Self.values.count >= 80)
    #expect((500...1400).contains(BrowserHeads.chrome.count) && (500...1400).contains(BrowserHeads.firefox.count))
    #expect((500...1400).contains(BrowserHeads.chromeNavigation.count) && BrowserHeads.safari.count > 500)
  }

  // MARK: Rows

  private static func accept(
    _ name: String, _ head: [UInt8], path: String = "/", host: String? = "a", minor: Int = 1, persists: Bool = true,
    isHead: Bool = false
  ) -> Case {
    let understood = UnderstoodHead(
      path: Array(path.utf8), host: host.map { Array($0.utf8) }, minorVersion: minor, isPersistent: persists,
      isHead: isHead)
    return Case(testDescription: name, head: head, expected: .accepted(understood))
  }

  private static func refuse(_ name: String, _ reason: HandoverReason, _ head: String) -> Case {
    Case(testDescription: "\(name) -> \(reason)", head: Array(head.utf8), expected: .refused(reason))
  }

  /// A field line after Host.
  private static func line(_ line: String, _ reason: HandoverReason) -> Case {
    refuse(line.debugDescription, reason, "GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n")
  }
  private static func harmless(_ line: String, persists: Bool = true) -> Case {
    accept(line.debugDescription, Array("GET / HTTP/1.1\r\nHost: a\r\n\(line)\r\n\r\n".utf8), persists: persists)
  }

  private static let site = "www.example.org"
  static let accepted = [
    accept("curl", BrowserHeads.curl, path: "/index.html", host: site),
    accept("wget", BrowserHeads.wget, path: "/index.html", host: site),
    accept("wrk", BrowserHeads.wrk, path: "/index.html", host: "192.0.2.1:8080"),
    accept("ab", BrowserHeads.apacheBench, path: "/index.html", host: site, minor: 0, persists: false),
    accept("ab -k", BrowserHeads.apacheBenchKeepAlive, path: "/index.html", host: site, minor: 0),
    accept("Chrome", BrowserHeads.chrome, path: "/static/app.js", host: site),
    accept("Chrome, the first page", BrowserHeads.chromeNavigation, host: "localhost:8080"),
    accept("Firefox", BrowserHeads.firefox, path: "/style.css", host: site),
    accept("Safari", BrowserHeads.safari, path: "/images/swift.png", host: site),
    accept("the shortest head", BrowserHeads.head("GET / HTTP/1.0"), host: nil, minor: 0, persists: false),
    accept("1.0 with Host only", BrowserHeads.head("GET / HTTP/1.0", "Host: a"), minor: 0, persists: false),
    accept(
      "1.0 with close", BrowserHeads.head("GET / HTTP/1.0", "Connection: close"), host: nil, minor: 0, persists: false),
    accept("an IPv6 address", BrowserHeads.head("GET / HTTP/1.1", "Host: [::1]"), host: "[::1]"),
    accept("an IPv6 address and a port", BrowserHeads.head("GET / HTTP/1.1", "Host: [::1]:8080"), host: "[::1]:8080"),
    accept(
      "a long IPv6 address and a port", BrowserHeads.head("GET / HTTP/1.1", "Host:[2001:db8:FFFF:ffff:0:9:a:f]:65535"),
      host: "[2001:db8:FFFF:ffff:0:9:a:f]:65535"),
    accept("a query", BrowserHeads.head("GET /?a=b&c HTTP/1.1", "Host: a"), path: "/?a=b&c"),
    accept(
      "odd characters in a path", BrowserHeads.head("GET /%7E~!$&'()*+,;=:@ HTTP/1.1", "Host: a"),
      path: "/%7E~!$&'()*+,;=:@"),
    accept(
      "no space after the colon", BrowserHeads.head("GET / HTTP/1.1", "Host:a", "Connection:close"), persists: false),
    accept("names in capitals", BrowserHeads.head("GET / HTTP/1.1", "HOST: a", "CONNECTION:CLOSE"), persists: false),
    accept(
      "39 field lines",
      Array(("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "x: y\r\n", count: 38) + "\r\n").utf8)),
    accept(
      "a name of 47 bytes", BrowserHeads.head("GET / HTTP/1.1", "Host: a", String(repeating: "n", count: 47) + ": 1")),
    accept("HEAD", BrowserHeads.head("HEAD /index.html HTTP/1.1", "Host: a"), path: "/index.html", isHead: true),
    accept(
      "HEAD in 1.0", BrowserHeads.head("HEAD / HTTP/1.0"), host: nil, minor: 0, persists: false, isHead: true),
    accept("a reload", BrowserHeads.reload, path: "/style.css", host: site),
    accept("an empty value", BrowserHeads.head("GET / HTTP/1.1", "Host: a", "X:")),
    accept("only space in a value", BrowserHeads.head("GET / HTTP/1.1", "Host: a", "X:   ")),
    accept("colons in a value", BrowserHeads.head("GET / HTTP/1.1", "X: host: b", "Host: a")),
  ]

  private static let start = "GET / HTTP/1.1\r\nHost: a\r\n"
  static let refused = [
    refuse("HEADS", .method, "HEADS / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("HEAD without its space", .method, "HEAD/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("head", .method, "head / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("HEAD, two spaces", .target, "HEAD  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("POST", .method, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    refuse("get", .method, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("GETS", .method, "GETS / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("a tab after GET", .method, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("an empty line first", .method, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("TLS", .method, "\u{16}\u{03}\u{01}\u{02}\u{00}\u{01}\u{00}\u{01}\u{fc}\u{03}\u{03} client hello"),
    refuse("PRI * HTTP/2.0", .method, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refuse("absolute-form", .target, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("asterisk-form", .target, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("two spaces before the target", .target, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("two spaces before the version", .version, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("a space in the path", .version, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("a tab in the path", .headMalformed, "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("UTF-8 in the path", .headMalformed, "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("DEL in the path", .headMalformed, "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("NUL in the path", .headMalformed, "GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n"),
    refuse("HTTP/0.9", .headMalformed, "GET /0123456789abcdef\r\n\r\n"),
    refuse("HTTP/2.0", .version, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    refuse("HTTP/1.2", .version, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    refuse("http/1.1", .version, "GET / http/1.1\r\nHost: a\r\n\r\n"),
    refuse("HTTP/1.10", .headMalformed, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    refuse("a space after the version", .headMalformed, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    refuse("LF after the request line", .headMalformed, "GET / HTTP/1.1\nHost: a\r\n\r\n"),
    refuse("no empty line", .headIncomplete, "GET / HTTP/1.1\r\nHost: a\r\n"),
    refuse("half an empty line", .headIncomplete, "GET / HTTP/1.1\r\nHost: a\r\n\r"),
    refuse("LF LF at the end", .headIncomplete, "GET / HTTP/1.1\r\nHost: a\n\n"),
    refuse("a body after the head", .headIncomplete, "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"),
    refuse("an empty line too many", .pipelined, start + "\r\n\r\n"),
    refuse("two heads", .pipelined, start + "\r\n" + start + "\r\n"),
    refuse("two heads, the first without fields", .pipelined, "GET / HTTP/1.0\r\n\r\n" + start + "\r\n"),
    refuse("no Host in 1.1", .hostMissing, "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n"),
    refuse("no field at all in 1.1", .hostMissing, "GET / HTTP/1.1\r\n\r\n"),
    refuse("two Hosts", .headMalformed, start + "Host: a\r\n\r\n"),
    refuse("two Hosts in 1.0", .headMalformed, "GET / HTTP/1.0\r\nhost: a\r\nHOST: b\r\n\r\n"),
    refuse("an empty Host before another", .headMalformed, "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n"),
    refuse("40 field lines", .headTooLong, start + String(repeating: "x: y\r\n", count: 39) + "\r\n"),
    refuse("2049 bytes", .headTooLong, start + "x: " + String(repeating: "y", count: 2049 - 25 - 3 - 4) + "\r\n\r\n"),
    refuse("a name of 48 bytes", .headMalformed, start + String(repeating: "n", count: 48) + ": 1\r\n\r\n"),
  ]

  private static func host(_ value: String, _ reason: HandoverReason) -> Case {
    refuse("Host:\(value.debugDescription)", reason, "GET / HTTP/1.1\r\nHost:\(value)\r\n\r\n")
  }

  static let values = [
    host("", .hostUnknown), host(" ", .hostUnknown), host("  a", .hostUnknown), host(" a ", .hostUnknown),
    host(" a b", .hostUnknown), host(" a,b", .hostUnknown), host(" a/", .hostUnknown), host(" user@a", .hostUnknown),
    host(" [::1", .hostUnknown), host(" [::1]80", .hostUnknown), host(" [::1]:", .hostUnknown),
    host(" {::1}", .hostUnknown), host(" [::1}", .hostUnknown), host(" []", .hostUnknown), host(" [:]", .hostUnknown),
    host(" [::g]", .hostUnknown), host(" [::1]:8o", .hostUnknown), host(" [::1] ", .hostUnknown),
    host(" [::1]:80:80", .hostUnknown), host(" [::1]]", .hostUnknown), host(" [fe80::1%25eth0]", .hostUnknown),
    host(" a_b", .hostUnknown),
    host(" a:b", .hostUnknown), host(" a:80:80", .hostUnknown), host(" :80", .hostUnknown), host(" a:8o", .hostUnknown),
    host(" a:-1", .hostUnknown), host(" a:8.0", .hostUnknown), host("\ta", .headMalformed),
    host(" a\t", .headMalformed),
    host(" \u{e4}", .headMalformed),
    line("Host : b", .headMalformed), line(" folded", .headMalformed), line("\tfolded", .headMalformed),
    line("X: a\r\n b", .headMalformed), line("Cookie: a=1\r\n\tb=2", .headMalformed), line("X", .headMalformed),
    line(": x", .headMalformed), line("X Y: 1", .headMalformed), line("X_Y: 1", .headMalformed),
    line("X.Y: 1", .headMalformed), line("X\u{0}: 1", .headMalformed), line("Accept\u{e4}: 1", .headMalformed),
    line("X: a\tb", .headMalformed), line("X: \u{e4}", .headMalformed), line("X: \u{7f}", .headMalformed),
    line("X: a\rb", .headMalformed), line("X: a\nb", .headMalformed), line("X: a\r\r\nY: b", .headMalformed),
    line("X: a\n\nGET / HTTP/1.1", .headMalformed), line("X: \u{0}", .headMalformed), line("X: \u{1}", .headMalformed),
    line("Connection: upgrade", .connectionField), line("Connection:  close", .connectionField),
    line("Connection: close ", .connectionField), line("Connection: close, te", .connectionField),
    line("Connection: keep-alive, close", .connectionField), line("Connection:", .connectionField),
    line("Connection: clos", .connectionField), line("Connection: closed", .connectionField),
    line("Connection: close\r\nConnection: close", .connectionField),
    line("Connection: keep-alive\r\nConnection: close", .connectionField),
    line("Connectixx: close", .connectionField), line("Connection2: x", .connectionField),
    line("Connectio: close", .connectionField), harmless("CONNECTION:close", persists: false),
    harmless("connection: Close", persists: false), harmless("Connection: Keep-Alive"), harmless("X-Connection: close"),
    line("Content-Length: 0", .field), line("content-length:5", .field), line("Content-Type: a/b", .field),
    line("Transfer-Encoding: chunked", .field), line("TRANSFER-ENCODING: x", .field), line("Range: bytes=0-1", .field),
    line("If-Range: \"a\"", .field), line("Expect: 100-continue", .field), line("Upgrade: websocket", .field),
    line("Upgrade:h2c", .field), line("HTTP2-Settings: AA", .field), line("TE: trailers", .field),
    line("Trailer: X", .field), line("Authorization: Basic QQ==", .field), line("Proxy-Authorization: x", .field),
    line("Proxy-Connection: keep-alive", .field),
    line("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"", .conditional), line("If-None-Matches: \"a\"", .conditional),
    line("If-None-Match2: \"a\"", .conditional), line("If-None-Mat: \"a\"", .conditional),
    line("If-Modified-Since: x\r\nIF-MODIFIED-SINCE: x", .conditional),
    line("If-Modified-Since2: x", .conditional), line("If-ModifiXd-Since: x", .conditional),
    line("If-Modified: x", .conditional), line("Accept-Encodings: br", .acceptEncoding),
    line("Accept-Encodinx: br", .acceptEncoding), line("Accept-E: br", .acceptEncoding),
    line("Accept-Encoding: br\r\naccept-encoding: br", .acceptEncoding),
    harmless("Cache-Control: no-cache"), harmless("Cache-Control: max-age=0"), harmless("Pragma: no-cache"),
    line("If-Match: *", .conditional), line("If-Unmodified-Since: x", .conditional),
    harmless("Upgrade-Insecure-Requests: 1"), harmless("Expect-CT: x"), harmless("Ranges: x"), harmless("Hosts: b"),
    harmless("X-Host: b"), harmless("Hos: b"), harmless("T: b"), harmless("TEA: b"), harmless("Trailers: b"),
    harmless("Accept-Ranges: bytes"), harmless("If: b"), harmless("Contentment: b"), harmless("Keep-Alive: timeout=5"),
  ]
}
