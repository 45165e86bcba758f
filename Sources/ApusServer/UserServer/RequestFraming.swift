/// A field line (RFC 9112 section 5): a name directly followed by a colon, a value with optional whitespace around it.
struct FieldLine {
  let name: UnsafeRawBufferPointer
  let value: Range<Int>

  init(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, _ classes: ByteClass) throws(RequestError) {
    var colon = line.lowerBound
    while colon < line.upperBound, classes.contains(bytes[colon], ByteClass.token) { colon += 1 }
    // Anything but a colon here is wrong: whitespace before it, whitespace at the start of the line (obs-fold,
    // RFC 9112 section 5.2), no colon at all.
    guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else {
      throw RequestError(.badRequest, "field line")
    }
    name = UnsafeRawBufferPointer(rebasing: bytes[line.lowerBound..<colon])
    var start = colon + 1
    var end = line.upperBound
    while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
    while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
    guard classes.all(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), ByteClass.fieldValue) else {
      throw RequestError(.badRequest, "field value")
    }
    value = start..<end
  }

  /// Whether the name is this one, given in lower case.
  func isNamed(_ other: StaticString) -> Bool { name.isEqualIgnoringCase(other) }
}

/// What the fields of a request say about its end, its connection and its conditions.
struct RequestFraming {
  private(set) var expectsContinue = false
  private var hostCount = 0
  private var contentLength: Int?
  private var hasTransferEncoding = false
  private var isChunked = false
  private var hasUnknownCoding = false
  private var closes = false
  private var keepsAlive = false
  private var hasUnknownExpectation = false

  mutating func take(
    _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, into head: inout RequestHead, _ classes: ByteClass
  ) throws(RequestError) {
    let field = try FieldLine(bytes, line, classes)
    let value = UnsafeRawBufferPointer(rebasing: bytes[field.value])
    // By length first: most fields are of no interest.
    switch field.name.count {
    case 4 where field.isNamed("host"):
      hostCount += 1
      guard hostCount == 1 else { throw RequestError(.badRequest, "several Host fields") }
      guard HostName.isValid(value, classes) else { throw RequestError(.badRequest, "Host") }
      if head.host.isEmpty { head.host = field.value }
    case 5 where field.isNamed("range"):
      var conditions = head.conditions ?? Conditions()
      conditions.range = conditions.range == nil ? field.value : 0..<0
      head.conditions = conditions
    case 6 where head.accept.isEmpty && field.isNamed("accept"):
      head.accept = field.value
    case 6 where field.isNamed("expect"):
      if value.isEqualIgnoringCase("100-continue") { expectsContinue = true } else { hasUnknownExpectation = true }
    case 10 where field.isNamed("connection"):
      takeConnection(value)
    case 14 where field.isNamed("content-length"):
      try takeContentLength(value)
    case 15 where field.isNamed("accept-encoding"):
      head.acceptEncoding = head.acceptEncoding == nil ? field.value : 0..<0
    case 17 where field.isNamed("transfer-encoding"):
      try takeTransferEncoding(value)
    case 8... where field.name[0] | 0x20 == UInt8(ascii: "i"):
      takeCondition(field, into: &head)
    default:
      break
    }
  }

  private func takeCondition(_ field: FieldLine, into head: inout RequestHead) {
    var conditions = head.conditions ?? Conditions()
    if field.isNamed("if-none-match") {
      conditions.ifNoneMatch.append(field.value)
    } else if field.isNamed("if-modified-since") {
      conditions.ifModifiedSince = conditions.ifModifiedSince == nil ? field.value : 0..<0
    } else if field.isNamed("if-match") {
      conditions.ifMatch.append(field.value)
    } else if field.isNamed("if-unmodified-since") {
      conditions.ifUnmodifiedSince = conditions.ifUnmodifiedSince == nil ? field.value : 0..<0
    } else if field.isNamed("if-range") {
      conditions.ifRange = conditions.ifRange == nil ? field.value : 0..<0
    } else {
      return
    }
    head.conditions = conditions
  }

  /// At the empty line: what must be there is, and how the body ends (RFC 9112 sections 3.2, 6.3, 9.3).
  mutating func finish(_ head: inout RequestHead) throws(RequestError) -> BodyFraming {
    guard hostCount == 1 || !head.is11 else { throw RequestError(.badRequest, "no Host") }
    if closes { head.isPersistent = false } else if keepsAlive { head.isPersistent = true }
    // HTTP/1.0 does not know expectations (RFC 9110 section 10.1.1).
    if !head.is11 {
      expectsContinue = false
    } else if hasUnknownExpectation {
      throw RequestError(.expectationFailed, "Expect")
    }
    guard hasTransferEncoding else {
      return contentLength.map(BodyFraming.length) ?? .none
    }
    guard contentLength == nil else {
      throw RequestError(.badRequest, "Content-Length and Transfer-Encoding")
    }
    // An HTTP/1.0 sender does not know it; something in between is confused (RFC 9112 section 6.1).
    guard head.is11 else { throw RequestError(.badRequest, "Transfer-Encoding in HTTP/1.0") }
    guard !hasUnknownCoding else { throw RequestError(.notImplemented, "transfer coding") }
    guard isChunked else { throw RequestError(.badRequest, "Transfer-Encoding") }
    return .chunked
  }

  private mutating func takeConnection(_ value: UnsafeRawBufferPointer) {
    forEachMember(value) { member in
      if member.isEqualIgnoringCase("close") {
        closes = true
      } else if member.isEqualIgnoringCase("keep-alive") {
        keepsAlive = true
      }
    }
  }

  /// Digits only, and once: the list of equal lengths that RFC 9110 section 8.6 lets pass is refused as it also does.
  private mutating func takeContentLength(_ value: UnsafeRawBufferPointer) throws(RequestError) {
    guard contentLength == nil, !value.isEmpty, value.count <= 18 else {
      throw RequestError(.badRequest, "Content-Length")
    }
    var length = 0
    for byte in value {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else {
        throw RequestError(.badRequest, "Content-Length")
      }
      length = length * 10 + Int(byte - UInt8(ascii: "0"))
    }
    contentLength = length
  }

  /// Only `chunked` is known, and nothing may come after it (RFC 9112 section 6.1).
  private mutating func takeTransferEncoding(_ value: UnsafeRawBufferPointer) throws(RequestError) {
    hasTransferEncoding = true
    var afterChunked = false
    forEachMember(value) { member in
      if isChunked { afterChunked = true }
      if member.isEqualIgnoringCase("chunked") { isChunked = true } else { hasUnknownCoding = true }
    }
    guard !afterChunked else { throw RequestError(.badRequest, "a coding after chunked") }
  }

  /// The members of a comma-separated list (RFC 9110 section 5.6.1), empty ones left out.
  private func forEachMember(_ value: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
    var start = 0
    while start < value.count {
      var end = value[start...].firstIndex(of: UInt8(ascii: ",")) ?? value.count
      let next = end + 1
      while start < end, value[start] == 0x20 || value[start] == 0x09 { start += 1 }
      while end > start, value[end - 1] == 0x20 || value[end - 1] == 0x09 { end -= 1 }
      if start < end { body(UnsafeRawBufferPointer(rebasing: value[start..<end])) }
      start = next
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are these, letters in any case.
  ///
  /// - Parameter other: in lower case.
  func isEqualIgnoringCase(_ other: StaticString) -> Bool {
    guard count == other.utf8CodeUnitCount else { return false }
    for index in 0..<count {
      let byte = self[index]
      let lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
      if lower != other.utf8Start[index] { return false }
    }
    return true
  }
}
