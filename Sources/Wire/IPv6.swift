/// An IPv6 header (RFC 8200 section 3); a view whose length has been checked.
public struct IPv6Header {
  public static var byteCount: Int { 40 }

  public let base: UnsafeRawPointer
  @inline(__always) public init(_ base: UnsafeRawPointer) { self.base = base }

  @inline(__always) public var isVersion6: Bool { base.word8(0) >> 4 == 6 }
  /// Bytes behind this header.
  @inline(__always) public var payloadLength: UInt16 { base.word16(4).bigEndian }
  /// What follows: a transport protocol, or an extension header.
  @inline(__always) public var nextHeader: UInt8 { base.word8(6) }
  @inline(__always) public var source: IPAddress { IPAddress(base + 8) }
  @inline(__always) public var destination: IPAddress { IPAddress(base + 24) }

  /// Writes the header in front of a TCP segment of an answer: traffic class 0, hop limit 64. The flow label is 0, "not
  /// labelled" (RFC 6437 section 3): a label must be the same for a whole flow, and the kernel, which may go on with
  /// the connection, makes its own.
  @inline(__always)
  public static func emit(
    to header: UnsafeMutableRawPointer, source: IPAddress, destination: IPAddress, payloadLength: UInt16
  ) {
    header.put32(UInt32(0x6000_0000).bigEndian, 0)
    header.put16(payloadLength.bigEndian, 4)
    header.put16(UInt16(0x0640).bigEndian, 6)
    source.emit(to: header + 8)
    destination.emit(to: header + 24)
  }
}
