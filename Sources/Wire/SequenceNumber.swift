/// A TCP sequence number: compared modulo 2^32 (RFC 9293 section 3.4).
public struct SequenceNumber: Equatable, Sendable, BitwiseCopyable {
  public var value: UInt32

  @inline(__always) public init(_ value: UInt32) { self.value = value }

  @inline(__always) public static func < (a: Self, b: Self) -> Bool {
    (a.value &- b.value) & 0x8000_0000 != 0
  }
  @inline(__always) public static func > (a: Self, b: Self) -> Bool { b < a }
  @inline(__always) public static func <= (a: Self, b: Self) -> Bool { !(b < a) }
  @inline(__always) public static func >= (a: Self, b: Self) -> Bool { !(a < b) }

  @inline(__always) public static func &+ (a: Self, length: UInt32) -> Self { Self(a.value &+ length) }
  @inline(__always) public static func &- (a: Self, length: UInt32) -> Self { Self(a.value &- length) }
  /// Bytes from `b` to `a`, modulo 2^32.
  @inline(__always) public static func - (a: Self, b: Self) -> UInt32 { a.value &- b.value }
}
