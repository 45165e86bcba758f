/// The request line (RFC 9112 section 3): method, one space, target, one space, version.
enum RequestLine {
  static func parse(
    _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, into head: inout RequestHead, _ classes: ByteClass
  ) throws(RequestError) {
    guard let methodEnd = bytes[line].firstIndex(of: 0x20) else {
      throw RequestError(.badRequest, "no space in the request line")
    }
    let method = UnsafeRawBufferPointer(rebasing: bytes[line.lowerBound..<methodEnd])
    guard !method.isEmpty, classes.all(method, ByteClass.token) else { throw RequestError(.badRequest, "method") }
    head.method = RequestMethod(method)

    guard let targetEnd = bytes[methodEnd + 1..<line.upperBound].firstIndex(of: 0x20) else {
      throw RequestError(.badRequest, "no version")
    }
    let target = methodEnd + 1..<targetEnd
    guard !target.isEmpty,
      classes.all(UnsafeRawBufferPointer(rebasing: bytes[target]), ByteClass.target)
    else { throw RequestError(.badRequest, "target") }

    try parseVersion(UnsafeRawBufferPointer(rebasing: bytes[targetEnd + 1..<line.upperBound]), into: &head)
    try parseTarget(bytes, target, isConnect: method.elementsEqual("CONNECT".utf8), into: &head, classes)
  }

  /// `HTTP/` DIGIT `.` DIGIT. A later minor version is spoken to as 1.1 (RFC 9110 section 2.5).
  private static func parseVersion(
    _ version: UnsafeRawBufferPointer, into head: inout RequestHead
  ) throws(RequestError) {
    func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    guard version.count == 8, version.starts(with: UnsafeBufferPointer("HTTP/")), isDigit(version[5]),
      version[6] == UInt8(ascii: "."), isDigit(version[7])
    else { throw RequestError(.badRequest, "version") }
    guard version[5] == UInt8(ascii: "1") else { throw RequestError(.versionNotSupported, "major version") }
    head.is11 = version[7] != UInt8(ascii: "0")
    head.isPersistent = head.is11
  }

  /// The four forms of a target (RFC 9112 section 3.2).
  private static func parseTarget(
    _ bytes: UnsafeRawBufferPointer, _ target: Range<Int>, isConnect: Bool, into head: inout RequestHead,
    _ classes: ByteClass
  ) throws(RequestError) {
    let first = bytes[target.lowerBound]
    if isConnect {
      // Only an authority may follow CONNECT, which is never answered well.
      guard HostName.isValid(UnsafeRawBufferPointer(rebasing: bytes[target]), classes) else {
        throw RequestError(.badRequest, "authority form")
      }
    } else if first == UInt8(ascii: "/") {
      split(bytes, target, into: &head)
    } else if first == UInt8(ascii: "*"), target.count == 1, head.method == .options {
      return
    } else {
      try parseAbsolute(bytes, target, into: &head, classes)
    }
  }

  /// `http://authority[/path][?query]`, as to a proxy; servers must understand it too.
  private static func parseAbsolute(
    _ bytes: UnsafeRawBufferPointer, _ target: Range<Int>, into head: inout RequestHead, _ classes: ByteClass
  ) throws(RequestError) {
    func hasScheme(_ scheme: StaticString) -> Bool {
      guard target.count >= scheme.utf8CodeUnitCount else { return false }
      return zip(bytes[target], UnsafeBufferPointer(scheme)).allSatisfy { $0 | 0x20 == $1 | 0x20 }
    }
    guard !hasScheme("https://") else { throw RequestError(.misdirectedRequest, "https on a plain connection") }
    guard hasScheme("http://") else { throw RequestError(.badRequest, "target form") }
    let start = target.lowerBound + 7
    let isEnd = { (byte: UInt8) in byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") }
    let end = bytes[start..<target.upperBound].firstIndex(where: isEnd) ?? target.upperBound
    // An http URI with an empty host is invalid, userinfo in it an attempt to deceive (RFC 9110 sections 4.2.1, 4.2.4).
    guard start < end, bytes[start] != UInt8(ascii: ":"),
      HostName.isValid(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), classes)
    else { throw RequestError(.badRequest, "authority") }
    head.host = start..<end
    split(bytes, end..<target.upperBound, into: &head)
  }

  private static func split(_ bytes: UnsafeRawBufferPointer, _ target: Range<Int>, into head: inout RequestHead) {
    let queryStart = bytes[target].firstIndex(of: UInt8(ascii: "?")) ?? target.upperBound
    head.path = target.lowerBound..<queryStart
    head.query = queryStart..<target.upperBound
  }
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
enum HostName {
  /// An empty value is valid: it says that the target has no authority.
  static func isValid(_ value: UnsafeRawBufferPointer, _ classes: ByteClass) -> Bool {
    var end = value.count
    if value.first == UInt8(ascii: "[") {
      guard let bracket = value.firstIndex(of: UInt8(ascii: "]")), bracket > 1 else { return false }
      // An IPv6 address or what may follow it one day.
      let isInside = { (byte: UInt8) in
        byte != UInt8(ascii: "%") && (classes.contains(byte, ByteClass.hostName) || byte == UInt8(ascii: ":"))
      }
      guard value[1..<bracket].allSatisfy(isInside) else { return false }
      end = bracket + 1
    } else {
      end = value.firstIndex(of: UInt8(ascii: ":")) ?? value.count
      guard classes.all(UnsafeRawBufferPointer(rebasing: value[..<end]), ByteClass.hostName) else { return false }
    }
    guard end < value.count else { return true }
    return value[end] == UInt8(ascii: ":")
      && value[(end + 1)...].allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
  }
}
