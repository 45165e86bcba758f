import Contract
import Foundation
import Testing

@testable import ApusServer

/// Lines of the access log, from requests nice and nasty.
@Suite struct LineFormatterTests {
  /// 2000-10-10 20:55:36.007 UTC.
  private static let time_ns: Int64 = 971_211_336_007_000_000

  private static func entry(_ change: (inout AccessEntry) -> Void = { _ in }) -> AccessEntry {
    var entry = AccessEntry(
      outcome: .kernel, time_ns: time_ns, client: ClientAddress(ipv4: UInt32(0xc000_0207).bigEndian),
      clientPort: 40_000,
      status: 200, bodyBytes: 2326)
    change(&entry)
    return entry
  }

  private func line(_ format: AccessLogFormat, _ request: [UInt8], _ entry: AccessEntry = Self.entry()) -> String {
    var formatter = LineFormatter(format)
    var text = LogText()
    let isWritten = request.withUnsafeBytes { formatter.append(entry, $0, to: &text) }
    #expect(isWritten == (text.count > 0))
    let line = String(decoding: text.bytes, as: UTF8.self)
    // One line, whatever was asked.
    #expect(line.isEmpty || line.utf8.lastIndex(of: 0x0a) == line.utf8.firstIndex(of: 0x0a))
    #expect(line.isEmpty || line.last == "\n")
    return String(line.dropLast())
  }

  private func json(_ request: [UInt8], _ entry: AccessEntry = Self.entry()) throws -> [String: Any] {
    let data = Data(line(.json, request, entry).utf8)
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private static let plain = Array(
    "GET /apache_pb.gif HTTP/1.0\r\nHost: example.com\r\nReferer: http://www.example.com/start.html\r\nUser-Agent: Mozilla/4.08 [en] (Win98; I ;Nav)\r\n\r\n"
      .utf8)

  // MARK: Combined

  @Test func `the Combined Log Format is Apache's, byte for byte`() {
    let time = String(decoding: LogTime.combined(Int(Self.time_ns / 1_000_000_000)), as: UTF8.self)
    #expect(
      line(.combined, Self.plain)
        == "192.0.2.7 - - [\(time)] \"GET /apache_pb.gif HTTP/1.0\" 200 2326 "
        + "\"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"")
  }

  @Test func `the time is local, with its offset`() throws {
    // As strftime has it, which knows the time zone of the machine.
    for second in [0, 971_211_336, 1_800_000_000, 4_102_444_799] {
      var time = second
      var parts = tm()
      localtime_r(&time, &parts)
      var buffer = [CChar](repeating: 0, count: 64)
      strftime(&buffer, 64, "%d/%b/%Y:%H:%M:%S %z", &parts)
      let expected = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      #expect(String(decoding: LogTime.combined(second), as: UTF8.self) == expected)
    }
    #expect(String(decoding: LogTime.json(971_211_336), as: UTF8.self) == "2000-10-10T20:55:36")
  }

  @Test func `what is missing is a hyphen`() {
    let bare = line(.combined, Array("GET / HTTP/1.0\r\n\r\n".utf8))
    #expect(bare.hasSuffix("] \"GET / HTTP/1.0\" 200 2326 \"-\" \"-\""))
    let empty = line(.combined, Array("GET / HTTP/1.0\r\nReferer:\r\nUser-Agent: \t \r\n\r\n".utf8))
    #expect(empty.hasSuffix("200 2326 \"-\" \"-\""))
    #expect(line(.combined, []).hasSuffix("] \"-\" 200 2326 \"-\" \"-\""))
    #expect(line(.combined, Array("\r\n\r\n".utf8)).hasSuffix("] \"-\" 200 2326 \"-\" \"-\""))
    #expect(line(.combined, Array("nonsense\r\n\r\n".utf8)).contains("\"nonsense\" 200"))
  }

  @Test func `nobody forges a line or a field`() {
    let forged =
      "GET /\" 200 1 \"-\" \"evil HTTP/1.1\r\nUser-Agent: a\" \"b\\\u{7f}\u{1b}[2J\r\nReferer: \u{e9}\r\n\r\n"
    let line = line(.combined, Array(forged.utf8))
    #expect(
      line.hasSuffix(
        #"] "GET /\x22 200 1 \x22-\x22 \x22evil HTTP/1.1" 200 2326 "\xC3\xA9" "a\x22 \x22b\x5C\x7F\x1B[2J""#), "\(line)"
    )
    // A line end that is none of the head's: a bare CR.
    #expect(self.line(.combined, Array("GET /a\rb HTTP/1.1\r\n\r\n".utf8)).contains(#""GET /a\x0Db HTTP/1.1" 200"#))
  }

  @Test(arguments: UInt8.min...UInt8.max)
  func `every byte is itself or escaped, wherever it stands`(byte: UInt8) throws {
    for position in 0..<20 where byte != 0x0a && byte != 0x20 {
      var target = Array("/0123456789abcdefghi".utf8)
      target[position] = byte
      let line = line(.combined, Array("GET ".utf8) + target + Array(" HTTP/1.1\r\n\r\n".utf8))
      let isPlain = (0x21...0x7e).contains(byte) && byte != 0x22 && byte != 0x5c
      let expected = target.flatMap { other -> [UInt8] in
        other == byte && !isPlain ? Array("\\x".utf8) + Self.hexadecimal(byte) : [other]
      }
      #expect(line.contains("\"GET \(String(decoding: expected, as: UTF8.self)) HTTP/1.1\""), "\(line)")
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
    Array((byte < 16 ? "0" : "").utf8) + Array(String(byte, radix: 16, uppercase: true).utf8)
  }

  @Test func `random bytes make one line that can be read back`() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      let count = Int.random(in: 0...300, using: &random)
      var request = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Bool.random(using: &random) {
        request = Array("GET /".utf8) + request + Array("\r\nUser-Agent: ".utf8) + request
      }
      let combined = line(.combined, request)
      #expect(combined.utf8.allSatisfy { (0x20...0x7e).contains($0) })
      // Quotation marks are those of the format: two each for the request, the Referer and the User-Agent.
      #expect(combined.utf8.count { $0 == 0x22 } == 6)
      _ = try json(request)
    }
  }

  @Test func `very long fields are cut, and what follows them is there`() throws {
    let limit = ServerLimits.accessLogFieldBytesMax
    let long = String(repeating: "l", count: limit * 2)
    let request = Array("GET /\(long) HTTP/1.1\r\nReferer: \(long)\r\nUser-Agent: \(long)\r\n\r\n".utf8)
    let cut = String(repeating: "l", count: limit) + "..."
    #expect(
      line(.combined, request)
        .hasSuffix("\"GET /\(String(repeating: "l", count: limit - 1))... HTTP/1.1\" 200 2326 \"\(cut)\" \"\(cut)\""))
    let object = try json(request)
    #expect(object["protocol"] as? String == "HTTP/1.1" && object["referer"] as? String == cut)
    let exact = Array("GET / HTTP/1.1\r\nUser-Agent: \(String(repeating: "l", count: limit))\r\n\r\n".utf8)
    #expect(!line(.combined, exact).contains("..."))
  }

  @Test func `names of fields are known in any case, and no others`() {
    let request =
      "GET / HTTP/1.1\r\nX-Referer: no\r\nReferers: no\r\nREFERER:yes\r\nreferer: second\r\nuSER-aGENT: me\r\n\r\n"
    #expect(line(.combined, Array(request.utf8)).hasSuffix("\"yes\" \"me\""))
  }

  @Test func `a body is not read for fields`() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\n\r\nReferer: forged\r\n\r\n"
    #expect(line(.combined, Array(request.utf8)).hasSuffix("\"-\" \"-\""))
  }

  @Test func `a head that is cut is read as far as it goes`() {
    let request = "GET /a HTTP/1.1\r\nReferer: r\r\nUser-Agent: half of it"
    #expect(line(.combined, Array(request.utf8)).hasSuffix("\"r\" \"half of it\""))
    #expect(line(.combined, Array("GET /a HT".utf8)).contains("\"GET /a HT\""))
  }

  @Test func `a hand-over has no line in the Combined Log Format`() {
    #expect(line(.combined, Self.plain, Self.entry { $0.outcome = .handover(.query) }).isEmpty)
  }

  // MARK: JSON

  @Test func `JSON says who answered whom what`() throws {
    let object = try json(Self.plain)
    let strings = [
      "time": "2000-10-10T20:55:36.007Z", "kind": "request", "half": "kernel", "client": "192.0.2.7", "method": "GET",
      "target": "/apache_pb.gif", "protocol": "HTTP/1.0", "host": "example.com",
      "referer": "http://www.example.com/start.html", "userAgent": "Mozilla/4.08 [en] (Win98; I ;Nav)",
    ]
    for (key, value) in strings { #expect(object[key] as? String == value, "\(key)") }
    for (key, value) in ["port": 40_000, "status": 200, "bytes": 2326] { #expect(object[key] as? Int == value) }
    #expect(object.count == strings.count + 3)
  }

  @Test func `JSON of the user half has a duration, and says TLS and HTTP2`() throws {
    let entry = Self.entry {
      $0.outcome = .user
      $0.duration_ns = 1_234_567
      $0.isTLS = true
      $0.isHTTP2 = true
    }
    let object = try json(Self.plain, entry)
    #expect(object["half"] as? String == "user" && object["duration_us"] as? Int == 1234)
    #expect(object["tls"] as? Bool == true && object["protocol"] as? String == "HTTP/2.0")
    #expect(line(.combined, Self.plain, entry).contains("\"GET /apache_pb.gif HTTP/2.0\" 200"))
  }

  @Test func `JSON of a hand-over has its reason and no status`() throws {
    let object = try json(Self.plain, Self.entry { $0.outcome = .handover(.noObject) })
    #expect(object["kind"] as? String == "handover" && object["reason"] as? String == "noObject")
    #expect(object["status"] == nil && object["bytes"] == nil && object["half"] == nil)
    let unknown = try json(Self.plain, Self.entry { $0.outcome = .handover(nil) })
    #expect(unknown["reason"] as? String == "unknown")
  }

  @Test func `JSON keeps UTF-8, escapes controls, and stands for what is neither`() throws {
    let agent = "Zoë \"q\" \\ \t\u{1b}[2J\u{9b}\u{7f} 🐦"
    let request = Array("GET /\u{e9} HTTP/1.1\r\nUser-Agent: ".utf8) + Array(agent.utf8) + Array("\r\n\r\n".utf8)
    #expect(try json(request)["userAgent"] as? String == agent)
    let text = line(.json, request)
    #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) })
    let broken = Array("GET / HTTP/1.1\r\nUser-Agent: a".utf8) + [0xff, 0xc3, 0x28] + Array("\r\n\r\n".utf8)
    #expect(try json(broken)["userAgent"] as? String == "a\u{fffd}\u{fffd}(")
  }

  @Test func `JSON has what is no request line as it came`() throws {
    let object = try json(Array("nonsense \u{1}\r\nHost: a\r\n\r\n".utf8))
    #expect(object["request"] as? String == "nonsense \u{1}" && object["method"] == nil && object["target"] == nil)
    #expect(try json([])["request"] == nil)
  }

  @Test func `a loss is a line of JSON, and none of the Combined Log Format`() throws {
    var text = LogText()
    var formatter = LineFormatter(.combined)
    #expect(!formatter.appendLost(7, time_ns: Self.time_ns, to: &text) && text.count == 0)
    formatter = LineFormatter(.json)
    #expect(formatter.appendLost(7, time_ns: Self.time_ns, to: &text))
    let object = try JSONSerialization.jsonObject(with: Data(text.bytes)) as? [String: Any]
    #expect(object?["kind"] as? String == "lost" && object?["lines"] as? Int == 7)
  }

  // MARK: Parts

  @Test(arguments: [
    ("::", [0, 0, 0, 0, 0, 0, 0, 0]), ("::1", [0, 0, 0, 0, 0, 0, 0, 1]), ("1::", [1, 0, 0, 0, 0, 0, 0, 0]),
    ("2001:db8::1", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]), ("2001:db8:0:1:1:1:1:1", [0x2001, 0xdb8, 0, 1, 1, 1, 1, 1]),
    ("2001:0:0:1::1", [0x2001, 0, 0, 1, 0, 0, 0, 1]), ("2001:db8::1:0:0:1", [0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]),
    ("1:2:3:4:5:6:7:8", [1, 2, 3, 4, 5, 6, 7, 8]), ("fe80::a:b", [0xfe80, 0, 0, 0, 0, 0, 0xa, 0xb]),
  ])
  func `IPv6 addresses are written as RFC 5952 has them`(text: String, groups: [UInt16]) {
    let bytes = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    let words = bytes.withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64).self) }
    var log = LogText()
    log.append(ClientAddress(words))
    #expect(String(decoding: log.bytes, as: UTF8.self) == text)
  }

  @Test func `an IPv4 address looks like one`() {
    for (address, text) in [(0x7f00_0001, "127.0.0.1"), (0xffff_ffff, "255.255.255.255"), (0, "0.0.0.0")] {
      var log = LogText()
      log.append(ClientAddress(ipv4: UInt32(address).bigEndian))
      #expect(String(decoding: log.bytes, as: UTF8.self) == text)
    }
  }

  @Test func `numbers are decimal`() {
    for number in [0, 9, 10, 99, 100, 12_345, .max, -1, .min] {
      var log = LogText()
      log.append(number)
      #expect(String(decoding: log.bytes, as: UTF8.self) == "\(number)")
    }
    var log = LogText()
    for (number, digits) in [(7, 2), (42, 2), (5, 3), (1999, 4), (12, 1)] { log.append(number, digits: digits) }
    #expect(String(decoding: log.bytes, as: UTF8.self) == "0742005199912")
  }

  @Test func `an event of the kernel part is read as the contract has it, or not at all`() throws {
    var header = AccessEvent()
    header.kind = AccessEvent.hit
    header.headLength = 5
    header.remotePort = UInt16(40_000).bigEndian
    header.time_ns = UInt64(Self.time_ns)
    header.status = withUnsafeBytes(of: (0x33, 0x30, 0x34, 0x20) as (UInt8, UInt8, UInt8, UInt8)) {
      $0.loadUnaligned(as: UInt32.self)
    }
    header.bodyBytes = 9
    header.remoteAddress = ClientAddress(ipv4: UInt32(0x0a00_0001).bigEndian).words
    func event(_ header: AccessEvent, _ request: String) -> [UInt8] {
      withUnsafeBytes(of: header) { Array($0) } + Array(request.utf8)
    }
    try event(header, "GET /").withUnsafeBytes { bytes in
      let (entry, request) = try #require(AccessEntry.read(bytes))
      #expect(entry.status == 304 && entry.bodyBytes == 9 && entry.clientPort == 40_000 && entry.outcome == .kernel)
      #expect(entry.client.ipv4 == UInt32(0x0a00_0001).bigEndian && entry.time_ns == Self.time_ns)
      #expect(Array(request) == Array("GET /".utf8))
    }
    event(header, "GET").withUnsafeBytes { #expect(AccessEntry.read($0) == nil) }
    header.kind = 77
    event(header, "GET /").withUnsafeBytes { #expect(AccessEntry.read($0) == nil) }
    #expect(AccessEntry.status(0x2034_3030) == 4 && AccessEntry.status(0x2030_3041) == 0)
  }
}
