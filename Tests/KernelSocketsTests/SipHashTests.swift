import KernelSockets
import KernelTestSupport
import Testing

/// SipHash-2-4 for messages of any length, straight from the paper: what `SipHash` is for 40 bytes only.
enum ReferenceSipHash {
  static func hash(key: [UInt8], message: [UInt8]) -> UInt64 {
    let (k0, k1) = (word(key, 0), word(key, 8))
    var v = [
      k0 ^ 0x736f_6d65_7073_6575, k1 ^ 0x646f_7261_6e64_6f6d, k0 ^ 0x6c79_6765_6e65_7261, k1 ^ 0x7465_6462_7974_6573,
    ]
    var padded = message
    while padded.count % 8 != 7 { padded.append(0) }
    padded.append(UInt8(truncatingIfNeeded: message.count))
    for start in stride(from: 0, to: padded.count, by: 8) {
      let block = word(padded, start)
      v[3] ^= block
      for _ in 0..<2 { round(&v) }
      v[0] ^= block
    }
    v[2] ^= 0xff
    for _ in 0..<4 { round(&v) }
    return v[0] ^ v[1] ^ v[2] ^ v[3]
  }

  static func word(_ bytes: [UInt8], _ start: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
  }

  private static func round(_ v: inout [UInt64]) {
    func mix(_ a: Int, _ b: Int, _ bits: UInt64) {
      v[a] &+= v[b]
      v[b] = v[b] << bits | v[b] >> (64 - bits)
      v[b] ^= v[a]
    }
    mix(0, 1, 13)
    v[0] = v[0] << 32 | v[0] >> 32
    mix(2, 3, 16)
    mix(0, 3, 21)
    mix(2, 1, 17)
    v[2] = v[2] << 32 | v[2] >> 32
  }
}

@Suite struct SipHashTests {
  static let key = [UInt8](0..<16)

  private func hash(_ key: [UInt8], _ message: [UInt8]) -> UInt64 {
    func word(_ bytes: [UInt8], _ index: Int) -> UInt64 { ReferenceSipHash.word(bytes, 8 * index) }
    return SipHash.hash(
      key: (word(key, 0), word(key, 1)), word(message, 0), word(message, 1), word(message, 2), word(message, 3),
      word(message, 4))
  }

  @Test("the reference is right by the vectors of 16 bytes and of the paper, and 40 bytes have its hash")
  func vectors() {
    #expect(ReferenceSipHash.hash(key: Self.key, message: [UInt8](0..<15)) == 0xa129_ca61_49be_45e5)
    #expect(ReferenceSipHash.hash(key: Self.key, message: [UInt8](0..<16)) == 0x3f2a_cc7f_57c2_9bdb)
    #expect(hash(Self.key, [UInt8](0..<40)) == ReferenceSipHash.hash(key: Self.key, message: [UInt8](0..<40)))
  }

  @Test("any message of 40 bytes has the hash of the reference")
  func random() {
    var random = SplitMix64(seed: 11)
    for _ in 0..<1000 {
      let key = random.bytes(16)
      let message = random.bytes(40)
      #expect(hash(key, message) == ReferenceSipHash.hash(key: key, message: message))
    }
  }
}
