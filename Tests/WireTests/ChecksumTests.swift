import KernelTestSupport
import Testing
import Wire

@Suite struct ChecksumTests {
  /// The bytes as the sources take them: 32-bit words from memory, zeros behind the end.
  private func sum(_ bytes: [UInt8]) -> Checksum {
    let padded = bytes + [UInt8](repeating: 0, count: 4 - bytes.count % 4)
    var checksum = Checksum()
    padded.withUnsafeBytes { raw in
      for offset in stride(from: 0, to: raw.count, by: 4) { checksum.add(raw.baseAddress!.word32(offset)) }
    }
    return checksum
  }

  @Test("the sum of words from memory is the sum of RFC 1071")
  func words() {
    var random = SplitMix64(seed: 1)
    for _ in 0..<2000 {
      let bytes = random.bytes(random.below(2049))
      #expect(sum(bytes).folded.bigEndian == InternetChecksum.sum(bytes))
      #expect(sum(bytes).complement.bigEndian == InternetChecksum.value(bytes))
    }
  }

  @Test("the example of RFC 1071 section 3")
  func example() {
    #expect(sum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).folded.bigEndian == 0xddf2)
  }

  @Test("a part that begins at an odd offset changes its bytes' places")
  func oddOffset() {
    var random = SplitMix64(seed: 2)
    for _ in 0..<2000 {
      let front = random.bytes(random.below(64))
      let back = random.bytes(random.below(64))
      var checksum = sum(front)
      checksum.add(sum(back).folded, atOdd: front.count % 2 == 1)
      #expect(checksum.folded.bigEndian == InternetChecksum.sum(front + back), "\(front.count) + \(back.count)")
    }
  }

  @Test(
    "sums that need several folds",
    arguments: [
      (UInt64(0), UInt16(0)), (0xffff, 0xffff), (0x1_0000, 1), (0x1_ffff, 1), (0xffff_ffff, 0xffff),
      (0x1_0000_0000, 1), (0xffff_ffff_ffff_ffff, 0xffff), (0xffff_0000_ffff_0001, 1), (0xfffe_ffff_0001_ffff, 0xffff),
    ])
  func folding(sum: UInt64, expected: UInt16) {
    #expect(Checksum(sum).folded == expected)
    #expect(Checksum(sum).complement == ~expected)
  }

  @Test("16-bit and 32-bit words may be mixed")
  func mixed() {
    var checksum = Checksum(UInt64(UInt16(0x1234).bigEndian))
    checksum.add(UInt32(0x5678_9abc).bigEndian)
    checksum.add(UInt16(0xdef0).bigEndian)
    #expect(checksum.folded.bigEndian == InternetChecksum.sum([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0]))
  }
}
