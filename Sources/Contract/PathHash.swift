/// The hash of an object's key: multiply and xor-shift over 8 bytes a step, seeded because clients choose
/// the paths. It only finds a candidate; the key is compared in full afterwards.
public struct PathHash {
  public var value: UInt64
  /// The site counts only when the hash is finished: a head names its path before its Host.
  public var site: UInt16

  @inline(__always) public init(seed: UInt64, site: UInt16) {
    value = seed
    self.site = site
  }

  /// Takes the next 8 bytes of the path, as loaded from memory; the last word is filled up with zero bytes.
  @inline(__always) public mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0xff51_afd7_ed55_8ccd
    value ^= value >> 32
  }

  @inline(__always) public mutating func finish(length: Int) -> UInt64 {
    add(UInt64(truncatingIfNeeded: length) | UInt64(site) << 32)
    return value
  }
}
