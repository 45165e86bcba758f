/// A TCP header (RFC 9293 section 3.1); a view of its first 20 bytes, whose length has been checked.
public struct TCPHeader {
  public static var byteCount: Int { 20 }
  /// In a header of IPv4 or IPv6.
  public static var protocolNumber: UInt8 { 6 }

  public let base: UnsafeRawPointer
  @inline(__always) public init(_ base: UnsafeRawPointer) { self.base = base }

  /// Ports in network byte order.
  @inline(__always) public var sourcePort: UInt16 { base.word16(0) }
  @inline(__always) public var destinationPort: UInt16 { base.word16(2) }
  @inline(__always) public var sequence: SequenceNumber { SequenceNumber(base.word32(4).bigEndian) }
  @inline(__always) public var acknowledgement: SequenceNumber { SequenceNumber(base.word32(8).bigEndian) }
  /// Header length in bytes, options included: 0...60; less than 20 is malformed.
  @inline(__always) public var headerLength: UInt16 { UInt16(base.word8(12) >> 4) &* 4 }
  @inline(__always) public var flags: TCPFlags { TCPFlags(rawValue: base.word8(13)) }
  @inline(__always) public var window: UInt16 { base.word16(14).bigEndian }
}

/// The control bits (RFC 9293 section 3.1, RFC 3168 section 6.1).
public struct TCPFlags: Equatable, Sendable, BitwiseCopyable {
  public var rawValue: UInt8
  @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inline(__always) public static var fin: UInt8 { 0x01 }
  @inline(__always) public static var syn: UInt8 { 0x02 }
  @inline(__always) public static var rst: UInt8 { 0x04 }
  @inline(__always) public static var psh: UInt8 { 0x08 }
  @inline(__always) public static var ack: UInt8 { 0x10 }
  @inline(__always) public static var urg: UInt8 { 0x20 }

  @inline(__always) public func has(_ flag: UInt8) -> Bool { rawValue & flag != 0 }
  /// Only these of SYN, RST, ACK and FIN are set.
  @inline(__always) public func isOnly(_ flags: UInt8) -> Bool { rawValue & 0x17 == flags }
}

/// TCP options: their kinds (RFC 9293 section 3.2, RFC 7323, RFC 2018).
public enum TCPOption {
  public static var end: UInt8 { 0 }
  public static var noOperation: UInt8 { 1 }
  public static var maximumSegmentSize: UInt8 { 2 }
  public static var windowScale: UInt8 { 3 }
  public static var sackPermitted: UInt8 { 4 }
  public static var sack: UInt8 { 5 }
  public static var timestamps: UInt8 { 8 }
  /// Bytes of the timestamps option and of the two no-operations in front of it (RFC 7323 appendix A).
  public static var timestampsByteCount: UInt16 { 12 }
  /// Bytes of a SACK option with one block and of the two no-operations in front of it (RFC 2018 section 3).
  public static var sackBlockByteCount: UInt16 { 12 }
  /// A larger shift count counts as this one (RFC 7323 section 2.3).
  public static var windowShiftMax: UInt8 { 14 }
  /// What a peer that offers no MSS takes over IPv4, and over IPv6 (RFC 9293 section 3.7.1).
  public static var segmentSizeDefault: UInt16 { 536 }
  public static var segmentSizeDefaultIPv6: UInt16 { 1220 }
}
