/// Eight bytes at a time: which of them are not what a head may hold. A result has the top bit set of every byte
/// found; only the lowest of them is exact, because sums carry into the bytes above it.
enum ByteScan {
  @inline(__always) static func every(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }
  static var top: UInt64 { 0x8080_8080_8080_8080 }

  /// Controls (tab among them), DEL, and bytes beyond ASCII.
  @inline(__always) static func notText(_ word: UInt64) -> UInt64 {
    ((word &+ every(0x01)) | (word &- every(0x20))) & top
  }

  /// The same and space: what ends a request target.
  @inline(__always) static func notVisible(_ word: UInt64) -> UInt64 {
    ((word &+ every(0x01)) | (word &- every(0x21))) & top
  }

  /// What is neither letter, digit nor hyphen, in a word whose bytes are ASCII and have had bit 0x20 set. (The
  /// other characters of a token, RFC 9110 section 5.6.2, are rare in names: such a head is handed over.)
  @inline(__always) static func notName(_ lowered: UInt64) -> UInt64 {
    let word = lowered & ~top
    let letter = (word &+ every(0x1f)) & ~(word &+ every(0x05))
    let digit = (word &+ every(0x50)) & ~(word &+ every(0x46))
    return (~(letter | digit | equal(word, 0x2d)) | lowered) & top
  }

  /// The same for a host, where dots are allowed as well.
  @inline(__always) static func notHost(_ lowered: UInt64) -> UInt64 {
    notName(lowered) & ~equal(lowered & ~top, 0x2e)
  }

  /// What is neither hexadecimal digit nor colon, in such a word.
  @inline(__always) static func notAddress(_ lowered: UInt64) -> UInt64 {
    let word = lowered & ~top
    let letter = (word &+ every(0x1f)) & ~(word &+ every(0x19))
    let digit = (word &+ every(0x50)) & ~(word &+ every(0x46))
    return (~(letter | digit | equal(word, 0x3a)) | lowered) & top
  }

  /// What is no digit.
  @inline(__always) static func notDigit(_ word: UInt64) -> UInt64 {
    let low = word & ~top
    return (~((low &+ every(0x50)) & ~(low &+ every(0x46))) | word) & top
  }

  /// Quotation marks, in a word of ASCII; bytes beyond it spoil only the places above them.
  @inline(__always) static func quotes(_ word: UInt64) -> UInt64 { equal(word, 0x22) & ~word & top }

  /// The top bit of every byte that is `byte`, exact for all of them; the word's bytes are ASCII.
  @inline(__always) private static func equal(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    ~((word ^ every(byte)) &+ every(0x7f))
  }

  /// Whether `byte` is among the first `count` bytes of a word of ASCII.
  @inline(__always) static func holds(_ word: UInt64, _ byte: UInt8, first count: Int) -> Bool {
    let found = equal(word & ~top, byte) & top
    return found != 0 && first(found) < count
  }

  /// The index of the lowest byte found: 0...7. Isolating the bit and multiplying brings the index to the top,
  /// without the count of trailing zeros BPF has no instruction for.
  @inline(__always) static func first(_ found: UInt64) -> Int {
    let bit = (found & (0 &- found)) >> 7
    return Int(truncatingIfNeeded: ((bit &* 0x0001_0203_0405_0607) >> 56) & 7)
  }
}
