/// The Internet checksum by the letter of RFC 1071: 16-bit big-endian words, the carry brought around after each
/// addition. Slow, and independent of what it is compared with.
public enum InternetChecksum {
  /// The sum, not complemented.
  public static func sum(_ bytes: some Collection<UInt8>) -> UInt16 {
    var sum: UInt32 = 0
    var high: UInt8?
    for byte in bytes {
      guard let first = high else {
        high = byte
        continue
      }
      sum = add(sum, UInt32(first) << 8 | UInt32(byte))
      high = nil
    }
    if let high { sum = add(sum, UInt32(high) << 8) }
    return UInt16(sum)
  }

  /// What stands in the header.
  public static func value(_ bytes: some Collection<UInt8>) -> UInt16 { ~sum(bytes) }

  private static func add(_ a: UInt32, _ b: UInt32) -> UInt32 {
    let sum = a + b
    return sum > 0xffff ? sum - 0xffff : sum
  }
}
