import Wire

/// The TCP options a connection has agreed on in its handshake. One byte:
///
///     6           5   4      3...0
///     timestamps  -   SACK   window shift of the client, 15: none
///
/// Nothing is stored of a handshake. What does not fit in the cookie rides in the high six bits of what is added to the
/// clock for the connection's timestamps, and the client sends it back. So without timestamps there is neither SACK nor a
/// window scale. The kernel's own cookies (net/ipv4/syncookies.c) put the same bits at the other end, and their timestamps
/// back by up to 63 ms; these are true, and their age is that of a round trip.
public struct AgreedOptions: BitwiseCopyable, Equatable, Sendable {
  public var rawValue: UInt8
  @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inline(__always) public static var none: AgreedOptions { AgreedOptions(rawValue: noShift) }
  private static var noShift: UInt8 { 0x0f }
  private static var sack: UInt8 { 0x10 }
  private static var timestamps: UInt8 { 0x40 }
  private static var carriedBits: UInt32 { 0x3f }
  private static var carriedShift: UInt32 { 26 }
  /// No timestamp of a handshake comes back later: its cookie is right for two periods of 64 s. In milliseconds, and less
  /// than what is left below the bits.
  private static var ageMax: UInt32 { 128_000 }

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

  /// What the first segment with data says: it has timestamps if they were agreed on, and sends ours back. One that sends
  /// something else back agrees on nothing more.
  ///
  /// - Parameter clockOffset: added to the clock for a connection without options.
  @inline(__always) public init(echoedBy segment: Segment, clockOffset: UInt32) {
    rawValue = Self.noShift
    if !segment.options.hasTimestamps { return }
    rawValue |= Self.timestamps
    let carrying = segment.options.echo &- segment.time &- clockOffset &+ Self.ageMax
    if carrying & ((1 << Self.carriedShift) &- 1) <= Self.ageMax {
      rawValue = Self.timestamps | UInt8(truncatingIfNeeded: carrying >> Self.carriedShift)
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

  /// What is added to the clock for a connection with these options.
  @inline(__always) public func clockOffset(_ offset: UInt32) -> UInt32 {
    offset &+ (UInt32(rawValue) & Self.carriedBits) << Self.carriedShift
  }
}
