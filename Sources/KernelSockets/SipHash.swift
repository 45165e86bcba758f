/// SipHash-2-4 of a message of exactly 40 bytes (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
public enum SipHash {
  @inline(__always)
  public static func hash(
    key: (UInt64, UInt64), _ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64, _ fifth: UInt64
  ) -> UInt64 {
    var state = State(key: key)
    state.absorb(first)
    state.absorb(second)
    state.absorb(third)
    state.absorb(fourth)
    state.absorb(fifth)
    // The last block holds the message's length in its top byte.
    state.absorb(40 << 56)
    return state.finish()
  }

  private struct State {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    @inline(__always) init(key: (UInt64, UInt64)) {
      v0 = key.0 ^ 0x736f_6d65_7073_6575
      v1 = key.1 ^ 0x646f_7261_6e64_6f6d
      v2 = key.0 ^ 0x6c79_6765_6e65_7261
      v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always) mutating func absorb(_ block: UInt64) {
      v3 ^= block
      round()
      round()
      v0 ^= block
    }

    @inline(__always) mutating func finish() -> UInt64 {
      v2 ^= 0xff
      round()
      round()
      round()
      round()
      return v0 ^ v1 ^ v2 ^ v3
    }

    @inline(__always) private mutating func round() {
      v0 = v0 &+ v1
      v1 = rotate(v1, 13) ^ v0
      v0 = rotate(v0, 32)
      v2 = v2 &+ v3
      v3 = rotate(v3, 16) ^ v2
      v0 = v0 &+ v3
      v3 = rotate(v3, 21) ^ v0
      v2 = v2 &+ v1
      v1 = rotate(v1, 17) ^ v2
      v2 = rotate(v2, 32)
    }

    @inline(__always) private func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
      (value &<< bits) | (value &>> (64 &- bits))
    }
  }
}
