/// Little-endian bytes of unknown origin: every access is checked and throws instead of trapping.
struct ByteView: Sendable {
  let bytes: [UInt8]

  /// `offset ..< offset + size` if it lies within the bytes.
  func range(at offset: UInt64, size: UInt64, of what: String) throws(BPFError) -> Range<Int> {
    let (end, overflow) = offset.addingReportingOverflow(size)
    guard !overflow, end <= UInt64(bytes.count) else {
      throw .malformedObject("\(what) ends beyond the file")
    }
    return Int(offset)..<Int(end)
  }

  func load<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, at offset: Int, of what: String
  ) throws(BPFError) -> Number {
    guard offset >= 0, bytes.count >= MemoryLayout<Number>.size, offset <= bytes.count - MemoryLayout<Number>.size
    else { throw .malformedObject("\(what) ends beyond the file") }
    let number = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
    return Number(littleEndian: number)
  }

  /// The text from `offset` up to a zero byte, which must come before `end`.
  func string(at offset: Int, before end: Int, of what: String) throws(BPFError) -> String {
    guard offset >= 0, offset < end, end <= bytes.count,
      let terminator = bytes[offset..<end].firstIndex(of: 0)
    else { throw .malformedObject("\(what) is not terminated") }
    return String(decoding: bytes[offset..<terminator], as: UTF8.self)
  }
}
