import Wire

/// The TCP options a connection has agreed on in its handshake. One byte:
///
///     6           5   4      3...0
///     timestamps  -   SACK   window shift of the client, 15: none
///
/// Nothing is stored of a handshake. What does not fit in the cookie rides in the low six bits of the timestamp the
/// SYN-ACK carries and the client sends back, in the order of the kernel's own cookies (net/ipv4/syncookies.c). So
/// without timestamps there is neither SACK nor a window scale.
public struct AgreedOptions: BitwiseCopyable, Equatable, Sendable {
  public var rawValue: UInt8
  @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inline(__always) public static var none: AgreedOptions { AgreedOptions(rawValue: noShift) }
  private static var noShift: UInt8 { 0x0f }
  private static var sack: UInt8 { 0x10 }
  private static var timestamps: UInt8 { 0x40 }
  private static var carriedBits: UInt32 { 0x3f }

  /// What a SYN offers and this host allows.
  ///
  /// - Parameter allowed: bits of `SegmentOptions.Present`.
  @inline(__always) public init(offered: SegmentOptions, allowed: UInt8) {
    let both = offered.present & allowed
    rawValue = Self.noShift
    // A client that names no segment size gets no options at all.
    if offered.segmentSize == 0 || both & SegmentOptions.Present.timestamps == 0 { return }
    rawValue = Self.timestamps
    rawValue |= both & SegmentOptions.Present.windowScale != 0 ? offered.windowShift & 15 : Self.noShift
    if both & SegmentOptions.Present.sackPermitted != 0 { rawValue |= Self.sack }
  }

  /// What the first segment with data says: it has timestamps if they were agreed on, and sends ours back.
  @inline(__always) public init(echoedBy options: SegmentOptions) {
    rawValue = Self.noShift
    if options.hasTimestamps {
      rawValue = Self.timestamps | UInt8(truncatingIfNeeded: options.echo & Self.carriedBits)
    }
  }

  @inline(__always) public var hasTimestamps: Bool { rawValue & Self.timestamps != 0 }
  @inline(__always) public var hasSACK: Bool { rawValue & Self.sack != 0 }
  @inline(__always) public var hasWindowScale: Bool { rawValue & Self.noShift != Self.noShift }
  /// How far the client's window is shifted; 0 without window scale.
  @inline(__always) public var windowShift: UInt8 {
    if !hasWindowScale { return 0 }
    let shift = rawValue & Self.noShift
    return shift < TCPOption.windowShiftMax ? shift : TCPOption.windowShiftMax
  }
  /// What timestamps take of every segment's room (RFC 6691 section 3).
  @inline(__always) public var byteCount: UInt16 { hasTimestamps ? TCPOption.timestampsByteCount : 0 }

  /// The latest timestamp that is not in the future and carries the options.
  @inline(__always) public func carried(by timestamp: UInt32) -> UInt32 {
    let carrying = (timestamp & ~Self.carriedBits) | (UInt32(rawValue) & Self.carriedBits)
    return carrying &- (carrying & Self.carriedBits > timestamp & Self.carriedBits ? Self.carriedBits &+ 1 : 0)
  }
}
