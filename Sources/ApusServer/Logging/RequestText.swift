import Glibc

/// The parts of a request that an access log names, as they came, found without judging them: what is logged may be a
/// request that nobody understood.
struct RequestText {
  private let bytes: UnsafeRawBufferPointer
  /// The request line without its line end.
  private(set) var line = 0..<0
  /// Empty, all three, where the line has not just these parts.
  private(set) var method = 0..<0
  private(set) var target = 0..<0
  private(set) var version = 0..<0
  /// Values of fields; of several fields of a name the first one's. `nil`: there is none.
  private(set) var host: Range<Int>?
  private(set) var referer: Range<Int>?
  private(set) var userAgent: Range<Int>?

  /// - Parameter bytes: a request, whole or cut; only its head is read.
  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var position = 0
    while let line = Self.line(at: &position, in: bytes) {
      if self.line.isEmpty {
        // RFC 9112 section 2.2: empty lines before the request line are nothing.
        if line.isEmpty { continue }
        readRequestLine(line)
      } else {
        if line.isEmpty { break }
        readField(line)
      }
    }
  }

  subscript(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }

  /// The next line without its end, LF alone being one too (RFC 9112 section 2.2); `nil` at the end of the bytes.
  private static func line(at position: inout Int, in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
    guard let base = bytes.baseAddress, position < bytes.count else { return nil }
    let start = position
    guard let feed = memchr(base + start, 0x0a, bytes.count - start) else {
      position = bytes.count
      return start..<bytes.count
    }
    let end = UnsafeRawPointer(feed) - base
    position = end + 1
    return start..<(end > start && bytes[end - 1] == 0x0d ? end - 1 : end)
  }

  private mutating func readRequestLine(_ line: Range<Int>) {
    self.line = line
    guard !line.isEmpty, let base = bytes.baseAddress,
      let space = memchr(base + line.lowerBound, 0x20, line.count)
    else { return }
    let first = UnsafeRawPointer(space) - base
    // Versions are short, so that the last space is looked for from the end.
    var last = line.upperBound - 1
    while bytes[last] != 0x20 { last -= 1 }
    guard line.lowerBound < first, first + 1 < last, last + 1 < line.upperBound else { return }
    method = line.lowerBound..<first
    target = first + 1..<last
    version = last + 1..<line.upperBound
  }

  private mutating func readField(_ line: Range<Int>) {
    // Most fields are told by their first letter.
    switch bytes[line.lowerBound] | 0x20 {
    case UInt8(ascii: "h"): if host == nil { host = value(of: "host", in: line) }
    case UInt8(ascii: "r"): if referer == nil { referer = value(of: "referer", in: line) }
    case UInt8(ascii: "u"): if userAgent == nil { userAgent = value(of: "user-agent", in: line) }
    default: break
    }
  }

  /// The value of a field of that name, white space around it not counted (RFC 9110 section 5.5).
  private func value(of name: StaticString, in line: Range<Int>) -> Range<Int>? {
    let length = name.utf8CodeUnitCount
    guard line.count > length, bytes[line.lowerBound + length] == UInt8(ascii: ":") else { return nil }
    for index in 0..<length where bytes[line.lowerBound + index] | 0x20 != name.utf8Start[index] | 0x20 { return nil }
    var start = line.lowerBound + length + 1
    var end = line.upperBound
    while start < end, Self.isSpace(bytes[start]) { start += 1 }
    while start < end, Self.isSpace(bytes[end - 1]) { end -= 1 }
    return start..<end
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
