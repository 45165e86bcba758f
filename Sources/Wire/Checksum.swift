/// The Internet checksum (RFC 1071): a ones' complement sum of 16-bit words in memory order, which is why it
/// needs no byte swapping whatever the machine's byte order.
public struct Checksum: Equatable, Sendable, BitwiseCopyable {
  /// The sum so far, not folded. 64 bits hold the sum of 2^32 words.
  public var sum: UInt64

  @inline(__always) public init(_ sum: UInt64 = 0) { self.sum = sum }

  @inline(__always) public mutating func add(_ word: UInt16) { sum = sum &+ UInt64(word) }
  @inline(__always) public mutating func add(_ word: UInt32) { sum = sum &+ UInt64(word) }

  /// Adds a folded sum of bytes that begin at an odd offset of this sum: its bytes change places
  /// (RFC 1071 section 2, byte order independence).
  @inline(__always) public mutating func add(_ word: UInt16, atOdd odd: Bool) {
    add(odd ? word.byteSwapped : word)
  }

  /// The sum in 16 bits, not complemented.
  @inline(__always) public var folded: UInt16 {
    var value = (sum & 0xffff_ffff) &+ (sum >> 32)
    value = (value & 0xffff) &+ (value >> 16)
    value = (value & 0xffff) &+ (value >> 16)
    value = (value & 0xffff) &+ (value >> 16)
    return UInt16(truncatingIfNeeded: value)
  }

  /// What stands in a header's checksum field.
  @inline(__always) public var complement: UInt16 { ~folded }
}
