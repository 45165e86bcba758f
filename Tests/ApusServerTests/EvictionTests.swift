import Contract
import Testing

@testable import ApusServer

@Suite struct FrequencySketchTests {
  @Test func estimatesAreNeverTooLowBeforeAging() {
    let sketch = FrequencySketch(width: 1024)
    var random = SeededGenerator(seed: 1)
    var counts: [UInt64: Int] = [:]
    for _ in 0..<1024 * FrequencySketch.additionsPerCounter - 1 {
      let hash = PathHash(seed: UInt64.random(in: 0..<300, using: &random), site: 0).finish()
      counts[hash, default: 0] += 1
      sketch.add(hash)
    }
    #expect(counts.allSatisfy { sketch.estimate($0.key) >= min($0.value, Int(FrequencySketch.counterMax)) })
  }

  @Test func strangersAreMostlyAtZero() {
    let sketch = FrequencySketch(width: 1024)
    for seed in 0..<200 { sketch.add(PathHash(seed: UInt64(seed), site: 0).finish()) }
    let wrong = (1000..<2000).count { sketch.estimate(PathHash(seed: UInt64($0), site: 0).finish()) > 0 }
    #expect(wrong < 20)
  }

  @Test func whatWasPopularLongAgoFades() {
    let sketch = FrequencySketch(width: 1024)
    for _ in 0..<15 { sketch.add(1) }
    #expect(sketch.estimate(1) == 15)
    for other in 0..<1024 * FrequencySketch.additionsPerCounter {
      sketch.add(PathHash(seed: UInt64(other), site: 1).finish())
    }
    #expect(sketch.estimate(1) < 15)
  }
}

extension PathHash {
  fileprivate func finish() -> UInt64 {
    var hash = self
    return hash.finish(length: 0)
  }
}

@Suite struct EvictionTests {
  let test = TestMemory(arenaBytes: 1 << 18)
  let clock = TestClock()
  let store: ObjectStore
  let reader: KernelReader

  init() {
    let clock = clock
    store = ObjectStore(memory: test.memory, pathSeed: 42, clock_ns: { clock.now_ns() })
    reader = KernelReader(test: test, seed: 42)
  }

  /// Fills the store with objects of 2 KB blocks until one is refused; returns their paths.
  private func fill() throws -> [String] {
    var paths: [String] = []
    while true {
      let path = "/old/\(paths.count)"
      do { try store.insert(Self.object, for: ObjectKey(path)) } catch StoreRefusal.notAdmitted { return paths }
      paths.append(path)
    }
  }
  private static let object = ComposedObject.sample(String(repeating: "x", count: 1200))

  /// Inserts as the filler does: waits for the quarantine of the room that is made.
  private func insert(_ path: String, _ object: ComposedObject = Self.object) throws {
    for _ in 0..<4 {
      do { return try store.insert(object, for: ObjectKey(path)) } catch StoreRefusal.noRoomYet(let wait_ms) {
        clock.advance(ms: UInt64(wait_ms))
      }
    }
    throw StoreRefusal.notAdmitted
  }

  @Test func aFullStoreUsesItsWholeBudget() throws {
    let paths = try fill()
    let statistics = store.statistics
    #expect(statistics.objects == paths.count && statistics.objects == 127)
    #expect(statistics.arenaBytesUsed >= statistics.budget - 2048 && statistics.bytes <= statistics.budget)
    #expect(statistics.evictions == 0)
    #expect(paths.allSatisfy { reader.answer($0) != nil })
  }

  @Test func whatWasAskedForOnceMakesNobodyLeave() throws {
    let paths = try fill()
    for number in 0..<100 {
      let key = ObjectKey("/new/\(number)")
      #expect(!store.noteMiss(key), "not even worth composing")
      #expect(throws: StoreRefusal.notAdmitted) { try insert("/new/\(number)") }
    }
    #expect(store.statistics.evictions == 0)
    #expect(paths.allSatisfy { reader.answer($0) != nil })
  }

  @Test func whatIsAskedForAgainTakesThePlaceOfWhatIsNot() throws {
    _ = try fill()
    #expect(!store.noteMiss(ObjectKey("/new")))
    #expect(store.noteMiss(ObjectKey("/new")))
    try insert("/new")
    #expect(reader.answer("/new") != nil)
    #expect(store.statistics.evictions > 0)
  }

  @Test func roomIsUsedOnlyAfterItsQuarantine() throws {
    _ = try fill()
    for _ in 0..<3 { _ = store.noteMiss(ObjectKey("/new")) }
    let ticket = store.begin(ObjectKey("/new"))
    let wait = StoreRefusal.noRoomYet(retryAfter_ms: 21)
    #expect(throws: wait) { try store.commit(ticket, Self.object) }
    clock.advance(ms: 19)
    #expect(throws: wait) { try store.commit(ticket, Self.object) }
    let evictions = store.statistics.evictions
    clock.advance(ms: 2)
    try store.commit(ticket, Self.object)
    #expect(store.statistics.evictions == evictions)
  }

  @Test func popularObjectsStayWhenLessPopularOnesCome() throws {
    let paths = try fill()
    for _ in 0..<10 { for path in paths { _ = store.noteMiss(ObjectKey(path)) } }
    for number in 0..<50 {
      for _ in 0..<3 { _ = store.noteMiss(ObjectKey("/new/\(number)")) }
      #expect(throws: StoreRefusal.notAdmitted) { try insert("/new/\(number)") }
    }
    #expect(paths.allSatisfy { reader.answer($0) != nil })
  }

  @Test func theLeastRecentlyHitLeaveFirst() throws {
    let paths = try fill()
    let recent = Set(paths.enumerated().filter { $0.offset % 2 == 0 }.map(\.element))
    let now_s = UInt32(clock.now_ns() / 1_000_000_000)
    for path in recent { _ = reader.answer(path, hit_s: now_s + 10) }
    for number in 0..<20 {
      for _ in 0..<5 { _ = store.noteMiss(ObjectKey("/new/\(number)")) }
      try insert("/new/\(number)")
    }
    let lost = paths.filter { reader.answer($0) == nil }
    // Of eight random ones the oldest goes: that all eight are recent has a chance of 1 in 256 each time.
    #expect(lost.count >= 20 && lost.count { recent.contains($0) } <= 2)
  }

  @Test func aLargeObjectFindsRoomAmongManySmallOnes() throws {
    _ = try fill()
    for _ in 0..<5 { _ = store.noteMiss(ObjectKey("/large")) }
    let large = ComposedObject.sample(String(repeating: "x", count: 15_000))
    try insert("/large", large)
    #expect(reader.answer("/large")?.body == large.body)
  }

  @Test func aSmallObjectFindsRoomAmongLargeOnes() throws {
    let large = ComposedObject.sample(String(repeating: "x", count: 15_500))
    var count = 0
    while (try? store.insert(large, for: ObjectKey("/old/\(count)"))) != nil { count += 1 }
    while (try? store.insert(.sample(""), for: ObjectKey("/small/\(count)"))) != nil { count += 1 }
    for _ in 0..<5 { _ = store.noteMiss(ObjectKey("/new")) }
    try insert("/new")
    #expect(reader.answer("/new") != nil)
  }
}
