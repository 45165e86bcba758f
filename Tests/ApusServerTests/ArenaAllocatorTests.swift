import Contract
import Testing

@testable import ApusServer

@Suite struct ArenaAllocatorTests {
  private static let smallest = ArenaAllocator.blockBytesMin
  private static let largest = ArenaAllocator.blockBytesMax

  @Test(arguments: [(1, 0), (512, 0), (513, 1), (1024, 1), (1025, 2), (16_385, 6), (32_768, 6)])
  func sizesAreRoundedUpToPowersOfTwo(bytes: Int, order: Int) {
    #expect(ArenaAllocator.order(byteCount: bytes) == order)
  }

  @Test func allBlocksButTheFirstAreHandedOutAtTheirAlignment() {
    var allocator = ArenaAllocator(byteCount: 1 << 17)
    var offsets: Set<Int> = []
    while let offset = allocator.allocate(byteCount: 1, now_ns: 0) { offsets.insert(offset) }
    #expect(offsets == Set(stride(from: Self.smallest, to: 1 << 17, by: Self.smallest)))
    #expect(allocator.freeBytes == 0)
  }

  @Test func releasedBlocksMergeToTheWholeArena() throws {
    var allocator = ArenaAllocator(byteCount: 1 << 17)
    let fresh = allocator.freeBytes
    var offsets: [Int] = []
    while let offset = allocator.allocate(byteCount: 700, now_ns: 0) { offsets.append(offset) }
    for offset in offsets.shuffled() { allocator.release(offset: offset, now_ns: 0) }
    allocator.endQuarantine(now_ns: ArenaAllocator.quarantine_ns)
    #expect(allocator.freeBytes == fresh)
    #expect(allocator.quarantinedBytes == 0)
    var large = 0
    while allocator.allocate(byteCount: Self.largest, now_ns: ArenaAllocator.quarantine_ns) != nil { large += 1 }
    #expect(large == 3, "every chunk but the one with the first block is whole again")
  }

  @Test func aReleasedBlockRestsForItsQuarantine() throws {
    var allocator = ArenaAllocator(byteCount: ArenaAllocator.arenaBytesMin)
    let offset = allocator.allocate(byteCount: Self.largest, now_ns: 0)
    allocator.release(offset: try #require(offset), now_ns: 1_000)
    let over_ns = 1_000 + ArenaAllocator.quarantine_ns
    // 999: a clock that was read before the release.
    for (now_ns, expected) in [(1_000, nil), (999, nil), (over_ns - 1, nil), (over_ns, offset)] as [(UInt64, Int?)] {
      let again = allocator.allocate(byteCount: Self.largest, now_ns: now_ns)
      #expect(again == expected, "at \(now_ns) ns")
    }
  }

  /// What the allocator ought to do, kept as plainly as possible: which smallest blocks are taken, and until when.
  private struct Model {
    var used: [Int: Int] = [:]
    var restingUntil_ns: [(range: Range<Int>, until: UInt64)] = []

    func isTaken(_ range: Range<Int>, now_ns: UInt64) -> Bool {
      range.lowerBound < ArenaAllocator.blockBytesMin
        || used.contains { ($0.key..<$0.key + $0.value).overlaps(range) }
        || restingUntil_ns.contains { $0.until > now_ns && $0.range.overlaps(range) }
    }
  }

  @Test(arguments: 0..<8) func randomOperationsAgreeWithAModel(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let byteCount = 1 << 18
    var allocator = ArenaAllocator(byteCount: byteCount)
    var model = Model()
    var now_ns: UInt64 = 0
    for _ in 0..<3000 {
      now_ns += UInt64.random(in: 0...2_000_000, using: &random)
      model.restingUntil_ns.removeAll { $0.until <= now_ns }
      if Int.random(in: 0..<5, using: &random) < 3 {
        let bytes = Int.random(in: 1...(1 << Int.random(in: 9...15, using: &random)), using: &random)
        let size = ArenaAllocator.blockBytes(order: ArenaAllocator.order(byteCount: bytes))
        if let offset = allocator.allocate(byteCount: bytes, now_ns: now_ns) {
          #expect(offset % size == 0 && offset + size <= byteCount)
          #expect(!model.isTaken(offset..<offset + size, now_ns: now_ns))
          model.used[offset] = size
        } else {
          let places = stride(from: 0, to: byteCount, by: size)
          #expect(places.allSatisfy { model.isTaken($0..<$0 + size, now_ns: now_ns) }, "there was room")
        }
      } else if let (offset, size) = model.used.randomElement(using: &random) {
        allocator.release(offset: offset, now_ns: now_ns)
        model.used.removeValue(forKey: offset)
        model.restingUntil_ns.append((offset..<offset + size, now_ns + ArenaAllocator.quarantine_ns))
      }
      #expect(allocator.usedBytes == model.used.values.reduce(0, +))
      #expect(
        allocator.freeBytes + allocator.usedBytes + allocator.quarantinedBytes == byteCount - Self.smallest)
    }
  }

  @Test func aRegionIsSeenWithAllItsBlocks() throws {
    var allocator = ArenaAllocator(byteCount: ArenaAllocator.arenaBytesMin)
    let blocksTaken = [
      allocator.allocate(byteCount: Self.largest, now_ns: 0), allocator.allocate(byteCount: 1, now_ns: 0),
    ]
    let large = try #require(blocksTaken[0])
    let small = try #require(blocksTaken[1])
    func blocks(_ region: Int, _ order: Int) -> [Int] {
      var offsets: [Int] = []
      allocator.forEachBlock(overlapping: region, order: order) { offset, state in
        if state == .used { offsets.append(offset) }
      }
      return offsets
    }
    #expect(blocks(large / Self.smallest + 5, 0) == [large], "inside a larger block")
    #expect(blocks(large / Self.largest, ArenaAllocator.orderMax) == [large])
    #expect(blocks(0, ArenaAllocator.orderMax) == [0, small])
    #expect(blocks(small / (2 * Self.smallest) + 1, 1) == [])
  }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
