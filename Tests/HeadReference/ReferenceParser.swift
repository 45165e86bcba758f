/// Reads the head of a GET or HEAD request a byte at a time, as RFC 9110 and RFC 9112 have it. It takes all that a kernel part
/// could ever be right to answer, so whatever the fast parser accepts must be accepted here, with the same meaning.
public struct ReferenceParser {
  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  public struct Refusal: Error {
    public let why: StaticString
    init(_ why: StaticString) { self.why = why }
  }

  public static func parse(_ head: [UInt8]) throws(Refusal) -> (head: UnderstoodHead, meaning: FieldMeaning) {
    try head.withUnsafeBufferPointer { (bytes) throws(Refusal) in
      var parser = ReferenceParser(bytes: bytes)
      return try parser.head()
    }
  }

  private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  // MARK: RFC 9112 sections 2.1, 3, 5

  private mutating func head() throws(Refusal) -> (head: UnderstoodHead, meaning: FieldMeaning) {
    let isHead = peek() == 0x48
    try expect(isHead ? "HEAD " : "GET ")
    let path = try target()
    try expect("HTTP/1.")
    guard let digit = next(), digit == 0x30 || digit == 0x31 else { throw Refusal("version") }
    try expect("\r\n")
    var fields = Fields()
    while !isAtLineEnd { try fieldLine(&fields) }
    try expect("\r\n")
    guard position == bytes.count else { throw Refusal("something follows") }
    let minorVersion = Int(digit - 0x30)
    guard fields.host != nil || minorVersion == 0 else { throw Refusal("no Host") }
    let head = UnderstoodHead(
      path: path, host: fields.host, minorVersion: minorVersion,
      isPersistent: fields.closes ? false : minorVersion == 1 || fields.keepsAlive, isHead: isHead)
    return (head, ReferenceMeaning.meaning(fields.others))
  }

  private mutating func target() throws(Refusal) -> [UInt8] {
    guard peek() == 0x2f else { throw Refusal("not origin-form") }
    var target: [UInt8] = []
    while let byte = next() {
      if byte == 0x20 { return target }
      guard byte > 0x20, byte < 0x7f else { throw Refusal("target") }
      target.append(byte)
    }
    throw Refusal("end in the target")
  }

  private struct Fields {
    var host: [UInt8]?
    var hasConnection = false
    var closes = false
    var keepsAlive = false
    /// Values by name.
    var others: [String: [String]] = [:]
  }

  private mutating func fieldLine(_ fields: inout Fields) throws(Refusal) {
    var name: [UInt8] = []
    while let byte = next(), byte != 0x3a {
      guard Self.isTokenCharacter(byte) else { throw Refusal("field name") }
      name.append(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)
    }
    guard !name.isEmpty else { throw Refusal("no field name") }
    var value: [UInt8] = []
    while !isAtLineEnd {
      guard let byte = next() else { throw Refusal("end in a field") }
      guard byte == 0x09 || (byte >= 0x20 && byte != 0x7f) else { throw Refusal("control in a value") }
      value.append(byte)
    }
    try expect("\r\n")
    try take(String(decoding: name, as: UTF8.self), Self.trimmed(value[...]), &fields)
  }

  private func take(_ name: String, _ value: ArraySlice<UInt8>, _ fields: inout Fields) throws(Refusal) {
    switch name {
    case "host":
      guard fields.host == nil else { throw Refusal("two Hosts") }
      guard Self.isHost(value) else { throw Refusal("Host") }
      fields.host = Array(value)
    case "connection":
      for member in value.split(separator: 0x2c) {
        switch String(decoding: Self.trimmed(member), as: UTF8.self).lowercased() {
        case "close": fields.closes = true
        case "keep-alive": fields.keepsAlive = true
        case "": break
        // It may say how fields must be treated that are not understood.
        default: throw Refusal("connection option")
        }
      }
    case "range", "expect", "upgrade", "authorization", "te", "trailer", "transfer-encoding", "content-length",
      "content-type", "content-encoding", "content-language", "content-location", "content-range",
      "proxy-authorization", "proxy-connection", "http2-settings", "if-match", "if-unmodified-since", "if-range":
      throw Refusal("a field that changes the answer")
    case "if-none-match", "if-modified-since", "accept-encoding":
      fields.others[name, default: []].append(String(decoding: value, as: UTF8.self))
    default: break
    }
  }

  // MARK: Characters

  /// tchar (RFC 9110 section 5.6.2).
  private static func isTokenCharacter(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
  }

  /// A registered name or an IPv4 address and perhaps a port (RFC 3986 sections 3.2.2 and 3.2.3), or an IPv6 address.
  private static func isHost(_ value: ArraySlice<UInt8>) -> Bool {
    var rest = value
    if rest.first == 0x5b {
      guard let end = rest.firstIndex(of: 0x5d) else { return false }
      guard rest[rest.startIndex..<end].dropFirst().allSatisfy({ isLetterOrDigit($0) || $0 == 0x3a || $0 == 0x2e })
      else { return false }
      rest = rest[(end + 1)...]
      guard rest.isEmpty || rest.first == 0x3a else { return false }
    } else {
      let name = rest.prefix { $0 != 0x3a }
      guard !name.isEmpty, name.allSatisfy({ isLetterOrDigit($0) || "-._~!$&'()*+,;=%".utf8.contains($0) }) else {
        return false
      }
      rest = rest[name.endIndex...]
    }
    return rest.dropFirst().allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
  }

  private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var value = value
    while let byte = value.first, byte == 0x20 || byte == 0x09 { value.removeFirst() }
    while let byte = value.last, byte == 0x20 || byte == 0x09 { value.removeLast() }
    return value
  }

  // MARK: Position

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func next() -> UInt8? {
    guard let byte = peek() else { return nil }
    position += 1
    return byte
  }

  private var isAtLineEnd: Bool {
    position + 1 < bytes.count && bytes[position] == 0x0d && bytes[position + 1] == 0x0a
  }

  private mutating func expect(_ text: StaticString) throws(Refusal) {
    for index in 0..<text.utf8CodeUnitCount where next() != text.utf8Start[index] { throw Refusal("expected") }
  }
}
