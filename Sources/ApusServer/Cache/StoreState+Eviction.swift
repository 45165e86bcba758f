import Contract

extension StoreState {
  enum Eviction {
    /// Regions looked at for each one that is emptied: the least recently hit of these goes.
    static let samples = 8
    /// A newcomer asked for fewer times than this makes nobody leave.
    static let missesMin = 2
    /// Once the store is full, room is made ahead of the next newcomers: this share of the arena.
    static let reserveShare = 64
  }

  /// Bytes kept free once the store is full, so that not every newcomer waits for a quarantine.
  var reserveBytes: Int {
    max(memory.arenaByteCount / Eviction.reserveShare, ArenaAllocator.blockBytesMax)
  }

  /// Whether any newcomer finds room without another object leaving.
  var hasRoom: Bool { allocator.freeBytes + allocator.quarantinedBytes >= reserveBytes }

  /// Empties regions of the arena large enough for a newcomer of so many bytes, and some more ahead.
  ///
  /// The arena is seen as regions of the newcomer's block size: emptying one makes a whole block free, whatever the
  /// fragmentation. Of a few random regions the one whose newest hit is oldest is emptied (sampled LRU), if none in
  /// it is asked for more often than the newcomer. The room can be used when its quarantine is over.
  ///
  /// - Throws: `StoreRefusal.notAdmitted` when nobody leaves for this newcomer.
  mutating func makeRoom(byteCount: Int, hash: UInt64) throws(StoreRefusal) {
    let popularity = sketch.estimate(hash)
    guard popularity >= Eviction.missesMin else { throw .notAdmitted }
    let order = ArenaAllocator.order(byteCount: byteCount)
    guard evictRegion(order: order, popularityMax: popularity) else { throw .notAdmitted }
    while !hasRoom, evictRegion(order: order, popularityMax: popularity) {}
  }

  private struct Candidate {
    var region: Int
    /// The newest among the region's objects.
    var hit_s: UInt32
    /// The highest among the region's objects.
    var popularity: Int
    var numbers: [UInt64]
  }

  /// Empties one region. Returns whether a region of that order is empty, or becomes so after a quarantine.
  private mutating func evictRegion(order: Int, popularityMax: Int) -> Bool {
    var best: Candidate?
    for _ in 0..<Eviction.samples {
      // Region 0 holds the first block, which is never free.
      let region = Int.random(in: 1..<allocator.regionCount(order: order), using: &random)
      let candidate = examine(region, order: order)
      if candidate.numbers.isEmpty { return true }
      if best == nil || (candidate.hit_s, candidate.popularity) < (best!.hit_s, best!.popularity) { best = candidate }
    }
    guard let best, best.popularity <= popularityMax else { return false }
    for number in best.numbers { evict(number) }
    return true
  }

  /// Looks at the objects of a region; a hit since the last look counts like one miss, so that both are compared
  /// by the same measure.
  private mutating func examine(_ region: Int, order: Int) -> Candidate {
    var candidate = Candidate(region: region, hit_s: 0, popularity: 0, numbers: [])
    allocator.forEachBlock(overlapping: region, order: order) { offset, state in
      if state == .used { candidate.numbers.append(numberAtBlock[offset / ArenaAllocator.blockBytesMin]) }
    }
    for number in candidate.numbers {
      guard let object = objects[number] else { continue }
      let hit_s = lastHit_s(object)
      let popularity =
        hit_s == object.examinedHit_s ? sketch.estimate(object.hash) : sketch.add(object.hash)
      noteExamined(number, hit_s: hit_s)
      candidate.hit_s = max(candidate.hit_s, hit_s)
      candidate.popularity = max(candidate.popularity, popularity)
    }
    return candidate
  }
}
