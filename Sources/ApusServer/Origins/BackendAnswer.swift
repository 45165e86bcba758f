import Contract

/// An answer of the server behind, its head taken apart (RFC 9112) but kept byte for byte.
struct BackendAnswer {
  struct Malformed: Error { var reason: String }

  struct Field: Equatable {
    /// In lower case.
    var name: String
    var value: String
    /// Where the value begins in the head.
    var valueOffset: Int
    /// The whole line in the head, its end included.
    var line: Range<Int>
  }

  /// When an answer was asked for and received.
  struct Times: Equatable {
    /// CLOCK_REALTIME.
    var request_s = 0
    var response_s = 0
    /// CLOCK_MONOTONIC.
    var response_ns: UInt64 = 0
  }

  /// From the status line to the empty line.
  private(set) var head: [UInt8]
  var body: [UInt8] = []
  private(set) var status: Int
  private(set) var fields: [Field] = []
  /// `nil` without a single valid Content-Length, or where a Transfer-Encoding overrides it.
  private(set) var contentLength: Int?
  var times = Times()

  /// - Parameter head: ends with the first empty line.
  init(head: [UInt8]) throws(Malformed) {
    self.head = head
    var lines: [(offset: Int, bytes: ArraySlice<UInt8>)] = []
    var start = 0
    while let end = head[start...].firstIndex(of: 13) {
      guard end + 1 < head.count, head[end + 1] == 10 else { throw Malformed(reason: "a bare CR in the head") }
      lines.append((start, head[start..<end]))
      start = end + 2
    }
    guard let first = lines.first, lines.last?.bytes.isEmpty == true, start == head.count else {
      throw Malformed(reason: "a head without its end")
    }
    status = try Self.status(first.bytes)
    for line in lines.dropFirst().dropLast() { fields.append(try Self.field(line.bytes, at: line.offset)) }
    let lengths = values("content-length")
    if lengths.count == 1, values("transfer-encoding").isEmpty, let digits = lengths.first,
      !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
    {
      contentLength = Int(digits)
    }
  }

  /// `HTTP/1.1 200 OK` (RFC 9112 section 4).
  private static func status(_ line: ArraySlice<UInt8>) throws(Malformed) -> Int {
    let text = String(decoding: line, as: UTF8.self)
    guard text.hasPrefix("HTTP/1.0 ") || text.hasPrefix("HTTP/1.1 "), let status = Int(text.dropFirst(9).prefix(3)),
      status >= 100, text.utf8.count == 12 || text.dropFirst(12).first == " "
    else { throw Malformed(reason: "no status line of HTTP/1") }
    return status
  }

  /// `name: value` (RFC 9112 section 5); no folded lines.
  private static func field(_ line: ArraySlice<UInt8>, at offset: Int) throws(Malformed) -> Field {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
      line[..<colon].allSatisfy({ $0 > 32 && $0 < 127 }),
      line.allSatisfy({ ($0 >= 32 && $0 != 127) || $0 == 9 })
    else { throw Malformed(reason: "a malformed field line") }
    let isBlank = { (byte: UInt8) in byte == 32 || byte == 9 }
    let value = line[(colon + 1)...].drop(while: isBlank)
    let trimmed = value.prefix((value.lastIndex { !isBlank($0) } ?? value.startIndex - 1) - value.startIndex + 1)
    return Field(
      name: String(decoding: line[..<colon], as: UTF8.self).lowercased(),
      value: String(decoding: trimmed, as: UTF8.self), valueOffset: value.startIndex,
      line: offset..<line.endIndex + 2)
  }

  func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

  /// What the rules of caching look at.
  func exchange(hasAuthorization: Bool = false) -> CachingRules.Exchange {
    CachingRules.Exchange(
      hasAuthorization: hasAuthorization, status: status, fields: fields.map { ($0.name, $0.value) },
      requestTime_s: times.request_s, responseTime_s: times.response_s)
  }

  /// The members of a comma-separated list field, in lower case (RFC 9110 section 5.6.1).
  func members(_ name: String) -> [String] { exchange().members(name) }

  /// Where the value of Date begins, if there is one in the form of RFC 9110 section 5.6.7.
  var dateOffset: Int? { fields.first { $0.name == "date" && Self.isFixdate($0.value) }?.valueOffset }

  /// `Sun, 06 Nov 1994 08:49:37 GMT`
  static func isFixdate(_ text: String) -> Bool {
    let pattern = Array("aaa, 00 aaa 0000 00:00:00 GMT".utf8)
    let bytes = Array(text.utf8)
    guard bytes.count == pattern.count else { return false }
    return zip(bytes, pattern).allSatisfy { byte, expected in
      switch expected {
      case UInt8(ascii: "a"): byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
      case UInt8(ascii: "0"): byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
      default: byte == expected
      }
    }
  }
}

extension BackendAnswer {
  /// Fields that make an answer one for a single client or a single connection, or that need a body of another form.
  private static let forbiddenFields: Set<String> = [
    "authentication-info", "content-range", "proxy-authenticate", "proxy-authentication-info", "surrogate-control",
    "trailer", "transfer-encoding", "upgrade", "warning", "www-authenticate",
  ]

  /// Why the answer cannot be repeated byte for byte, whatever the rules of caching say; `nil` when it can.
  var notRepeatableReason: String? {
    headNotRepeatableReason ?? (contentLength == nil ? "no Content-Length" : nil)
  }

  /// The same where the body may come in chunks: it is repeated with its framing then.
  var notRepeatableAsFramedReason: String? {
    guard isChunked else { return notRepeatableReason }
    let forbidden = Self.forbiddenFields.subtracting(["transfer-encoding"])
    if let field = fields.first(where: { forbidden.contains($0.name) }) { return "it has \(field.name)" }
    return clockReason
  }

  /// Whether the body is framed by `chunked` and nothing else (RFC 9112 section 6.1).
  var isChunked: Bool {
    values("transfer-encoding").map { $0.lowercased() } == ["chunked"] && values("content-length").isEmpty
      && head.starts(with: Array("HTTP/1.1 ".utf8))
  }

  /// The same of an answer that has no body.
  var headNotRepeatableReason: String? {
    if let field = fields.first(where: { Self.forbiddenFields.contains($0.name) }) { return "it has \(field.name)" }
    return clockReason
  }

  /// What the clock writes into the head must be the Date and Expires and nothing else.
  private var clockReason: String? {
    let dates = fields.filter { $0.name == "date" }
    if dates.count > 1 { return "more than one Date" }
    guard let date = dates.first else { return nil }
    if !Self.isFixdate(date.value) { return "a Date in another form" }
    let moving: Set<String> = ["expires", "last-modified"]
    if fields.contains(where: { $0 != date && !moving.contains($0.name) && $0.value.contains(date.value) }) {
      return "the time in a field other than Date"
    }
    return nil
  }

  func saysConnection(_ option: String) -> Bool { members("connection").contains(option) }

  /// Apache's `Keep-Alive: timeout=5, max=100` counts down: no two answers are the same.
  var hasKeepAlive: Bool { !values("keep-alive").isEmpty }

  /// The head without what the clock and the count of requests on a connection change: equal for two answers that
  /// differ in nothing else.
  var comparableHead: [UInt8] {
    head(replacing: { field in
      switch field.name {
      case "age", "keep-alive": []
      case "date", "expires": Array("\(field.name)\r\n".utf8)
      default: nil
      }
    })
  }

  /// The head with some lines replaced, those for which `line` gives another one, and more lines at its end.
  func head(replacing line: (Field) -> [UInt8]?, adding lines: [UInt8] = []) -> [UInt8] {
    var bytes = Array(head[..<(fields.first?.line.lowerBound ?? head.count - 2)])
    for field in fields { bytes += line(field) ?? Array(head[field.line]) }
    return bytes + lines + [13, 10]
  }
}
