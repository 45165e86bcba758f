/// The field lines of a message (RFC 9110 section 5), with their bytes and in their order.
struct FieldSection {
  struct Line: Equatable {
    var name: Range<Int>
    var value: Range<Int>
  }

  /// The whole head the lines are in.
  let bytes: [UInt8]
  private(set) var lines: [Line] = []
  /// The first line of the head without its CRLF.
  private(set) var startLine = 0..<0

  /// - Parameter head: from the first line to the empty line.
  /// - Throws: where a line is none: obs-fold, whitespace before a colon, a bare LF.
  init(head: [UInt8], linesMax: Int = ServerLimits.fieldLinesMax) throws(RequestError) {
    bytes = head
    var failure: RequestError?
    (startLine, lines) = head.withUnsafeBytes { bytes in
      do throws(RequestError) {
        return try Self.split(bytes, linesMax: linesMax)
      } catch {
        failure = error
        return (0..<0, [])
      }
    }
    if let failure { throw failure }
  }

  private static func split(
    _ bytes: UnsafeRawBufferPointer, linesMax: Int
  ) throws(RequestError) -> (Range<Int>, [Line]) {
    var start = 0
    // Empty lines before a request line (RFC 9112 section 2.2).
    while bytes.count > start + 1, bytes[start] == 0x0d, bytes[start + 1] == 0x0a { start += 2 }
    var startLine: Range<Int>?
    var lines: [Line] = []
    lines.reserveCapacity(16)
    while let end = bytes[start...].firstIndex(of: 0x0a) {
      guard end > start, bytes[end - 1] == 0x0d else { throw RequestError(.badRequest, "line ends with a bare LF") }
      let line = start..<end - 1
      start = end + 1
      if startLine == nil {
        startLine = line
      } else if line.isEmpty {
        break
      } else {
        let field = try FieldLine(bytes, line, ByteClass.shared)
        guard lines.count < linesMax else { throw RequestError(.headTooLarge, "field lines") }
        lines.append(Line(name: line.lowerBound..<line.lowerBound + field.name.count, value: field.value))
      }
    }
    guard let startLine else { throw RequestError(.badRequest, "no start line") }
    return (startLine, lines)
  }

  func value(_ line: Line) -> ArraySlice<UInt8> { bytes[line.value] }

  func isNamed(_ line: Line, _ name: StaticString) -> Bool { bytes.isEqualIgnoringCase(line.name, name) }

  /// The members of all lists of a name (RFC 9110 section 5.6.1), empty ones left out.
  func members(_ name: StaticString) -> [Range<Int>] {
    var members: [Range<Int>] = []
    for line in lines where isNamed(line, name) {
      for part in bytes[line.value].split(separator: UInt8(ascii: ",")) {
        var part = part
        while let byte = part.first, byte == 0x20 || byte == 0x09 { part.removeFirst() }
        while let byte = part.last, byte == 0x20 || byte == 0x09 { part.removeLast() }
        if !part.isEmpty { members.append(part.startIndex..<part.endIndex) }
      }
    }
    return members
  }

  /// Whether a list has a member, letters in any case.
  func hasMember(_ name: StaticString, _ member: StaticString) -> Bool {
    members(name).contains { bytes.isEqualIgnoringCase($0, member) }
  }

  // MARK: Passing on

  /// The lines that may be passed on: none that is about one connection only, by its name or because Connection names
  /// it (RFC 9110 section 7.6.1); none that whoever passes them on writes himself.
  func endToEnd(except own: [StaticString]) -> [Line] {
    let named = members("connection")
    return lines.filter { line in
      !Self.hopByHop.contains { isNamed(line, $0) } && !own.contains { isNamed(line, $0) }
        && !named.contains { bytes.isEqualIgnoringCase($0, line.name) }
    }
  }

  /// RFC 9110 section 7.6.1, and fields of proxies, which Apus is not to its clients.
  private static let hopByHop: [StaticString] = [
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "http2-settings", "content-length",
  ]
}

extension [UInt8] {
  /// - Parameter other: in lower case.
  func isEqualIgnoringCase(_ range: Range<Int>, _ other: StaticString) -> Bool {
    guard range.count == other.utf8CodeUnitCount else { return false }
    return withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[range]).isEqualIgnoringCase(other) }
  }

  func isEqualIgnoringCase(_ range: Range<Int>, _ other: Range<Int>) -> Bool {
    range.count == other.count && zip(self[range], self[other]).allSatisfy { Self.lower($0) == Self.lower($1) }
  }

  private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte }
}
