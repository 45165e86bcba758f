/// `PathHash` from its description: words of eight bytes, little-endian, the last one filled up with zeros.
public enum ReferenceHash {
  public static func hash(_ path: [UInt8], seed: UInt64, site: UInt16) -> UInt64 {
    var value = seed
    func add(_ word: UInt64) {
      value = (value ^ word) &* 0xff51_afd7_ed55_8ccd
      value ^= value >> 32
    }
    for start in stride(from: 0, to: path.count, by: 8) {
      var word: UInt64 = 0
      for (index, byte) in path[start..<min(start + 8, path.count)].enumerated() { word |= UInt64(byte) << (8 * index) }
      add(word)
    }
    add(UInt64(path.count) | UInt64(site) << 32)
    return value
  }
}
