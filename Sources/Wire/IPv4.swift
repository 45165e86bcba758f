/// An IPv4 header without options (RFC 791 section 3.1); a view whose length has been checked.
/// Addresses stay in network byte order: they are only compared and copied.
public struct IPv4Header {
  public static var byteCount: Int { 20 }

  public let base: UnsafeRawPointer
  @inline(__always) public init(_ base: UnsafeRawPointer) { self.base = base }

  /// Version 4 and a header of five words: a packet with options is left to the kernel.
  @inline(__always) public var isPlain: Bool { base.word8(0) == 0x45 }
  @inline(__always) public var totalLength: UInt16 { base.word16(2).bigEndian }
  /// More fragments follow, or this is not the first one.
  @inline(__always) public var isFragment: Bool { base.word16(6) & UInt16(0x3fff).bigEndian != 0 }
  @inline(__always) public var proto: UInt8 { base.word8(9) }
  @inline(__always) public var source: UInt32 { base.word32(12) }
  @inline(__always) public var destination: UInt32 { base.word32(16) }

  /// Whether the header's own checksum is right (RFC 1071: the sum over it is all ones).
  @inline(__always) public var isChecksumRight: Bool {
    var checksum = Checksum()
    for offset in 0..<5 { checksum.add(base.word32(offset &* 4)) }
    return checksum.folded == 0xffff
  }

  /// Writes the header of an answer: identification 0 and "don't fragment" as RFC 6864 section 4.1 allows
  /// for atomic datagrams, TTL 64, the type of service of nothing special.
  @inline(__always)
  public static func emit(
    to header: UnsafeMutableRawPointer, source: UInt32, destination: UInt32, totalLength: UInt16
  ) {
    header.put32(UInt32(0x4500_0000).bigEndian | (UInt32(totalLength.bigEndian) << 16), 0)
    header.put32(UInt32(0x0000_4000).bigEndian, 4)
    header.put32(UInt32(0x4006_0000).bigEndian, 8)
    header.put32(source, 12)
    header.put32(destination, 16)
    var checksum = Checksum()
    let written = UnsafeRawPointer(header)
    for offset in 0..<5 { checksum.add(written.word32(offset &* 4)) }
    header.put16(checksum.complement, 10)
  }
}
