import Contract

/// Hands out blocks of the arena: a buddy allocator whose released blocks rest for a while before they are reused.
///
/// Blocks are 512 bytes times a power of two, at most `Limits.recordBytesMax`, each at a multiple of its own size;
/// a released block merges with its equal neighbour ("buddy") when that is free too (Knuth, TAOCP volume 1,
/// section 2.5). All bookkeeping is in arrays beside the arena: the arena itself is never written here, and no
/// operation allocates memory. Allocation and release take at most one step for each block size.
///
/// A reader in the kernel may still be copying from a record that was just released. It reads the record's
/// generation again after copying, so the word there must not become something else meanwhile: a released block
/// is in quarantine for `quarantine_ns` first. The very first block is never handed out: unit 0 says "empty slot".
struct ArenaAllocator {
  static let blockBytesMin = 512
  static let blockBytesMax = Limits.recordBytesMax
  static let arenaBytesMin = 2 * blockBytesMax
  static let arenaBytesMax = 1 << 36
  /// Longer than any program in softirq runs.
  static let quarantine_ns: UInt64 = 20_000_000

  static let orderMax = (blockBytesMax / blockBytesMin).trailingZeroBitCount

  enum BlockState: UInt8 {
    /// In the middle of a larger block.
    case inside = 0
    case free = 1
    case used = 2
    case quarantined = 3
  }

  let byteCount: Int
  /// Bytes of blocks in each state; their sum and the first block make the arena.
  private(set) var freeBytes = 0
  private(set) var usedBytes = 0
  private(set) var quarantinedBytes = 0

  // For each smallest block: what begins there (state in the upper, order in the lower four bits), its neighbours
  // in the list it is in, and when it was released.
  private var begins: [UInt8]
  private var next: [UInt32]
  private var previous: [UInt32]
  private var released_ns: [UInt64]
  private var freeLists = [UInt32](repeating: none, count: orderMax + 1)
  private var quarantineFirst = none
  private var quarantineLast = none
  private static let none = UInt32.max

  /// - Parameter byteCount: a power of two, at least `arenaBytesMin`.
  init(byteCount: Int) {
    precondition(
      byteCount.nonzeroBitCount == 1 && byteCount >= Self.arenaBytesMin && byteCount <= Self.arenaBytesMax,
      "the arena's size must be a power of two from \(Self.arenaBytesMin) bytes on")
    self.byteCount = byteCount
    let count = byteCount / Self.blockBytesMin
    begins = Array(repeating: 0, count: count)
    next = Array(repeating: Self.none, count: count)
    previous = Array(repeating: Self.none, count: count)
    released_ns = Array(repeating: 0, count: count)
    let chunk = 1 << Self.orderMax
    // Lowest addresses are pushed last, so they are handed out first.
    for start in stride(from: count - chunk, to: 0, by: -chunk) { pushFree(start, order: Self.orderMax) }
    mark(0, .used, order: 0)
    for order in (0..<Self.orderMax).reversed() { pushFree(1 << order, order: order) }
  }

  /// The order (block size as a power of two times the smallest) for so many bytes.
  static func order(byteCount: Int) -> Int {
    precondition(byteCount > 0 && byteCount <= blockBytesMax)
    let blocks = (byteCount + blockBytesMin - 1) / blockBytesMin
    return Int.bitWidth - (blocks - 1).leadingZeroBitCount
  }

  /// The bytes a block of this order has.
  static func blockBytes(order: Int) -> Int { blockBytesMin << order }

  /// Takes a block of at least so many bytes.
  ///
  /// - Parameter now_ns: CLOCK_MONOTONIC; blocks whose quarantine is over by then are used again.
  /// - Returns: bytes from the start of the arena; `nil` when there is no such block now.
  mutating func allocate(byteCount: Int, now_ns: UInt64) -> Int? {
    endQuarantine(now_ns: now_ns)
    let order = Self.order(byteCount: byteCount)
    guard var size = (order...Self.orderMax).first(where: { freeLists[$0] != Self.none }) else { return nil }
    let block = Int(freeLists[size])
    removeFree(block, order: size)
    while size > order {
      size -= 1
      pushFree(block + 1 << size, order: size)
    }
    mark(block, .used, order: order)
    usedBytes += Self.blockBytes(order: order)
    return block * Self.blockBytesMin
  }

  /// Gives a block back; it can be handed out again after its quarantine.
  mutating func release(offset: Int, now_ns: UInt64) {
    let block = offset / Self.blockBytesMin
    precondition(block > 0 && state(block) == .used, "only a used block can be released")
    let bytes = Self.blockBytes(order: order(block))
    mark(block, .quarantined, order: order(block))
    usedBytes -= bytes
    quarantinedBytes += bytes
    released_ns[block] = now_ns
    next[block] = Self.none
    if quarantineLast == Self.none {
      quarantineFirst = UInt32(block)
    } else {
      next[Int(quarantineLast)] = UInt32(block)
    }
    quarantineLast = UInt32(block)
  }

  /// Frees the blocks whose quarantine is over.
  mutating func endQuarantine(now_ns: UInt64) {
    while quarantineFirst != Self.none {
      let block = Int(quarantineFirst)
      // A clock behind the release time is one that was read before it: not over.
      guard now_ns >= released_ns[block], now_ns - released_ns[block] >= Self.quarantine_ns else { return }
      quarantineFirst = next[block]
      if quarantineFirst == Self.none { quarantineLast = Self.none }
      quarantinedBytes -= Self.blockBytes(order: order(block))
      free(block, order: order(block))
    }
  }

  /// Calls `body` with every block that overlaps the region: an aligned piece of the arena of the size of `order`.
  func forEachBlock(overlapping region: Int, order: Int, _ body: (_ offset: Int, BlockState) -> Void) {
    var block = region << order
    let end = block + 1 << order
    // The region may lie inside a larger block, which begins at a multiple of its own size.
    var larger = order
    while state(block) == .inside && larger < Self.orderMax {
      larger += 1
      block = (block >> larger) << larger
    }
    while block < end {
      body(block * Self.blockBytesMin, state(block))
      block += 1 << self.order(block)
    }
  }

  /// Regions of that order in the arena.
  func regionCount(order: Int) -> Int { begins.count >> order }

  // MARK: Lists

  private mutating func free(_ start: Int, order startOrder: Int) {
    var block = start
    var order = startOrder
    while order < Self.orderMax {
      let buddy = block ^ 1 << order
      guard state(buddy) == .free, self.order(buddy) == order else { break }
      removeFree(buddy, order: order)
      begins[max(block, buddy)] = 0
      block = min(block, buddy)
      order += 1
    }
    pushFree(block, order: order)
  }

  private mutating func pushFree(_ block: Int, order: Int) {
    let first = freeLists[order]
    next[block] = first
    previous[block] = Self.none
    if first != Self.none { previous[Int(first)] = UInt32(block) }
    freeLists[order] = UInt32(block)
    mark(block, .free, order: order)
    freeBytes += Self.blockBytes(order: order)
  }

  private mutating func removeFree(_ block: Int, order: Int) {
    if previous[block] == Self.none {
      freeLists[order] = next[block]
    } else {
      next[Int(previous[block])] = next[block]
    }
    if next[block] != Self.none { previous[Int(next[block])] = previous[block] }
    freeBytes -= Self.blockBytes(order: order)
  }

  private mutating func mark(_ block: Int, _ state: BlockState, order: Int) {
    begins[block] = state.rawValue << 4 | UInt8(order)
  }
  private func state(_ block: Int) -> BlockState { BlockState(rawValue: begins[block] >> 4)! }
  private func order(_ block: Int) -> Int { Int(begins[block] & 0xf) }
}
