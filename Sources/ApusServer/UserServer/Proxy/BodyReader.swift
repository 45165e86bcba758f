import NIOCore

/// How a body ends (RFC 9112 section 6.3).
enum BodyFraming: Equatable {
  case none
  case length(Int)
  case chunked
  /// With the connection; responses only.
  case untilClose
}

/// Takes a body out of the bytes of an HTTP/1 connection, strictly: what two recipients could understand differently
/// is refused. Chunk extensions and trailers are dropped (RFC 9112 sections 7.1.1 and 7.1.2).
struct BodyReader {
  struct Malformed: Error, Equatable {}

  private enum Phase: Equatable {
    case length(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailers(left: Int)
    case untilClose
    case ended
  }

  private var phase: Phase

  init(_ framing: BodyFraming) {
    switch framing {
    case .none, .length(0): phase = .ended
    case .length(let length): phase = .length(left: length)
    case .chunked: phase = .chunkSize
    case .untilClose: phase = .untilClose
    }
  }

  var isEnded: Bool { phase == .ended }
  var endsWithConnection: Bool { phase == .untilClose }

  /// The next bytes of the body; `nil` where more must come, or none is left (`isEnded`).
  mutating func next(_ input: inout ByteBuffer) throws(Malformed) -> ByteBuffer? {
    while true {
      switch phase {
      case .ended: return nil
      case .untilClose:
        return input.readableBytes > 0 ? input.readSlice(length: input.readableBytes) : nil
      case .length(let left):
        return take(left, from: &input) { $0 == 0 ? .ended : .length(left: $0) }
      case .chunk(let left):
        return take(left, from: &input) { $0 == 0 ? .chunkEnd : .chunk(left: $0) }
      case .chunkEnd:
        guard input.readableBytes >= 2 else { return nil }
        guard input.readInteger(as: UInt16.self) == 0x0d0a else { throw Malformed() }
        phase = .chunkSize
      case .chunkSize:
        guard let line = try Self.line(&input, max: ProxyLimits.chunkLineBytesMax) else { return nil }
        let size = try Self.chunkSize(line)
        phase = size == 0 ? .trailers(left: ProxyLimits.trailerBytesMax) : .chunk(left: size)
      case .trailers(let left):
        guard let line = try Self.line(&input, max: left) else { return nil }
        guard !line.isEmpty else {
          phase = .ended
          return nil
        }
        try Self.checkField(line)
        guard left > line.count else { throw Malformed() }
        phase = .trailers(left: left - line.count)
      }
    }
  }

  private mutating func take(_ left: Int, from input: inout ByteBuffer, then: (Int) -> Phase) -> ByteBuffer? {
    let count = min(left, input.readableBytes)
    guard count > 0 else { return nil }
    phase = then(left - count)
    return input.readSlice(length: count)
  }

  /// A whole line without its CRLF.
  private static func line(_ input: inout ByteBuffer, max: Int) throws(Malformed) -> [UInt8]? {
    let view = input.readableBytesView.prefix(max + 2)
    guard let end = view.firstIndex(of: 0x0a) else {
      guard view.count < max + 2 else { throw Malformed() }
      return nil
    }
    guard end > view.startIndex, view[end - 1] == 0x0d else { throw Malformed() }
    let line = Array(view[view.startIndex..<end - 1])
    input.moveReaderIndex(forwardBy: line.count + 2)
    return line
  }

  /// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1).
  private static func chunkSize(_ line: [UInt8]) throws(Malformed) -> Int {
    var size = 0
    var digits = 0
    for byte in line {
      guard let value = byte.hexValue else { break }
      digits += 1
      // Far more than any body, far less than an overflow.
      guard digits <= 15 else { throw Malformed() }
      size = size << 4 | Int(value)
    }
    let rest = line[digits...].drop { $0 == 0x20 || $0 == 0x09 }
    let isField = rest.allSatisfy { ByteClass.shared.contains($0, ByteClass.fieldValue) }
    guard digits > 0, isField, digits == line.count || rest.first == UInt8(ascii: ";") else { throw Malformed() }
    return size
  }

  private static func checkField(_ line: [UInt8]) throws(Malformed) {
    let isField = line.withUnsafeBytes { bytes in
      (try? FieldLine(bytes, 0..<bytes.count, ByteClass.shared)) != nil
    }
    guard isField else { throw Malformed() }
  }
}

extension ByteBuffer {
  /// A chunk of a chunked body (RFC 9112 section 7.1); nothing for no bytes, because that would be the last one.
  static func chunkHeader(_ count: Int) -> ByteBuffer {
    ByteBuffer(string: String(count, radix: 16) + "\r\n")
  }
}
