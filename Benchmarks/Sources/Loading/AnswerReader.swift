/// Counts a connection's answers off by their framing. All of them are to the same request, so all that is understood of
/// a head is its status and its Content-Length (RFC 9112 section 6.3).
public struct AnswerReader: Sendable {
  public enum Fault: Error, Equatable {
    /// More than a head may have, without an end.
    case headTooLong
    /// No "HTTP/1.1 2xx".
    case status
    /// None, or no number.
    case contentLength
  }

  private static let headBytesMax = 8192

  private var head: [UInt8] = []
  private var bodyLeft = 0
  private var isInBody = false

  public init() {}

  /// Takes received bytes in.
  ///
  /// - Returns: how many answers are complete with them.
  public mutating func read(_ bytes: UnsafeRawBufferPointer) throws -> Int {
    var bytes = bytes
    var complete = 0
    while !bytes.isEmpty {
      if !isInBody {
        guard let length = try readHead(bytes) else { return complete }
        bytes = UnsafeRawBufferPointer(rebasing: bytes[length...])
        isInBody = true
      }
      let taken = min(bodyLeft, bytes.count)
      bodyLeft -= taken
      bytes = UnsafeRawBufferPointer(rebasing: bytes[taken...])
      if bodyLeft == 0 {
        complete += 1
        isInBody = false
      }
    }
    return complete
  }

  /// - Returns: the bytes that belong to the head; `nil` if it goes on beyond them.
  private mutating func readHead(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
    // Nearly every head comes whole, and is looked at where it is.
    if head.isEmpty, let end = Self.endOfHead(bytes) {
      bodyLeft = try Self.contentLength(bytes, end)
      return end
    }
    let known = head.count
    let whole = head + bytes
    guard let end = whole.withUnsafeBytes(Self.endOfHead) else {
      guard whole.count <= Self.headBytesMax else { throw Fault.headTooLong }
      head = whole
      return nil
    }
    head = []
    bodyLeft = try whole.withUnsafeBytes { try Self.contentLength($0, end) }
    return end - known
  }

  /// The number of bytes up to the empty line, and with it.
  private static func endOfHead(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var place = 3
    while place < bytes.count {
      // The last byte of "\r\n\r\n" is a "\n": any other one cannot end it.
      if bytes[place] == UInt8(ascii: "\n"), bytes[place - 1] == UInt8(ascii: "\r"),
        bytes[place - 2] == UInt8(ascii: "\n"), bytes[place - 3] == UInt8(ascii: "\r")
      {
        return place + 1
      }
      place += 1
    }
    return nil
  }

  private static let field = Array("\ncontent-length:".utf8)

  /// - Parameter end: of the head, where its empty line ends.
  private static func contentLength(_ head: UnsafeRawBufferPointer, _ end: Int) throws -> Int {
    guard end > 12, head[9] == UInt8(ascii: "2") else { throw Fault.status }
    var start = 12
    while start + field.count < end {
      if head[start] == field[0], isField(head, at: start) { return try number(head, from: start + field.count) }
      start += 1
    }
    throw Fault.contentLength
  }

  private static func isField(_ head: UnsafeRawBufferPointer, at start: Int) -> Bool {
    for index in 1..<field.count where head[start + index] | 0x20 != field[index] | 0x20 { return false }
    return true
  }

  private static func number(_ head: UnsafeRawBufferPointer, from start: Int) throws -> Int {
    var place = start
    while head[place] == UInt8(ascii: " ") { place += 1 }
    var value = 0
    let first = place
    while let digit = digit(head[place]), place - first < 15 {
      value = value * 10 + digit
      place += 1
    }
    guard place > first, head[place] == UInt8(ascii: "\r") else { throw Fault.contentLength }
    return value
  }

  private static func digit(_ byte: UInt8) -> Int? {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? Int(byte) - 48 : nil
  }
}
