/// Objects that say that there is nothing: anybody can make up paths, so they may take only a small part of the store.
/// They leave in the order they came, but for those that are asked for.
struct NegativeObjects {
  /// They take at most this share of the arena.
  static let arenaShare = 16
  /// Objects looked at to make room for one.
  static let looksMax = 16

  private(set) var bytes = 0
  /// Numbers of objects; those that have left otherwise are among them until their turn comes.
  private var queue: [UInt64] = []
  private var first = 0

  /// Bytes an object takes of the arena.
  private static func blockBytes(_ byteCount: Int) -> Int {
    ArenaAllocator.blockBytesMin << ArenaAllocator.order(byteCount: byteCount)
  }

  func hasRoom(for byteCount: Int, arenaByteCount: Int) -> Bool {
    bytes + Self.blockBytes(byteCount) <= arenaByteCount / Self.arenaShare
  }

  mutating func append(_ number: UInt64, byteCount: Int) {
    bytes += Self.blockBytes(byteCount)
    queue.append(number)
  }

  mutating func remove(byteCount: Int) { bytes -= Self.blockBytes(byteCount) }

  mutating func again(_ number: UInt64) { queue.append(number) }

  mutating func next() -> UInt64? {
    guard first < queue.count else { return nil }
    defer {
      first += 1
      if first * 2 > queue.count {
        queue.removeFirst(first)
        first = 0
      }
    }
    return queue[first]
  }
}

extension StoreState {
  /// Makes room for one more negative object within their share.
  ///
  /// - Throws: `StoreRefusal.notAdmitted` when those that are there are asked for.
  mutating func makeNegativeRoom(byteCount: Int) throws(StoreRefusal) {
    var looks = 0
    while !negatives.hasRoom(for: byteCount, arenaByteCount: memory.arenaByteCount) {
      guard let number = negatives.next() else { throw .notAdmitted }
      guard let object = objects[number] else { continue }
      let hit_s = lastHit_s(object)
      if hit_s == object.examinedHit_s {
        evict(number)
      } else {
        noteExamined(number, hit_s: hit_s)
        negatives.again(number)
      }
      looks += 1
      if looks == NegativeObjects.looksMax { throw .notAdmitted }
    }
  }
}
