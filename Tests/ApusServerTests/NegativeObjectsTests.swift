import Contract
import Testing

@testable import ApusServer

/// 404s in the store: anybody can ask for what is not there.
@Suite struct NegativeObjectsTests {
  let test = TestMemory(arenaBytes: 1 << 20)
  let clock = TestClock()
  let store: ObjectStore
  let reader: KernelReader
  /// Each takes one block of the smallest size.
  static let fitting = (1 << 20) / NegativeObjects.arenaShare / ArenaAllocator.blockBytesMin

  init() {
    let clock = clock
    store = ObjectStore(memory: test.memory, pathSeed: 7, clock_ns: { clock.now_ns() })
    reader = KernelReader(test: test, seed: 7)
  }

  private func missing(_ path: String) throws(StoreRefusal) {
    let head = ComposedObject.Head(bytes: Array("HTTP/1.1 404 Not Found\r\n\r\n".utf8), dateOffset: nil)
    let representation = ComposedObject.Representation(
      heads: [head, head, head, head], body: [], conditions: .ignored, answersHead: true)
    clock.advance(ms: 100)
    try store.insert(ComposedObject(representation, isNegative: true), for: ObjectKey(path))
  }

  @Test("they take no more than their share, and the oldest leave first")
  func share() throws {
    for number in 0..<16 { try store.insert(.sample("page \(number)"), for: ObjectKey("/page/\(number)")) }
    for number in 0..<1000 { try missing("/\(number)") }
    #expect(store.statistics.objects == 16 + Self.fitting)
    #expect((0..<16).allSatisfy { reader.answer("/page/\($0)") != nil })
    #expect((1000 - Self.fitting..<1000).allSatisfy { reader.answer("/\($0)") != nil })
    #expect(reader.answer("/\(1000 - Self.fitting - 1)") == nil)
  }

  @Test("one that is asked for stays")
  func secondChance() throws {
    try missing("/favicon.ico")
    for number in 0..<1000 {
      _ = reader.answer("/favicon.ico", hit_s: UInt32(2000 + number))
      try missing("/\(number)")
    }
    #expect(reader.answer("/favicon.ico") != nil)
  }

  @Test("where all of them are asked for a newcomer is refused")
  func allAskedFor() throws {
    for number in 0..<Self.fitting { try missing("/\(number)") }
    for number in 0..<Self.fitting { _ = reader.answer("/\(number)", hit_s: 5000) }
    #expect(throws: StoreRefusal.notAdmitted) { try missing("/new") }
    #expect((0..<Self.fitting).allSatisfy { reader.answer("/\($0)") != nil })
  }

  @Test("those that are invalidated, replaced or purged give their room back")
  func room() throws {
    for round in 0..<4 {
      for number in 0..<Self.fitting { try missing("/\(round)/\(number)") }
      #expect((0..<Self.fitting).allSatisfy { reader.answer("/\(round)/\($0)") != nil }, "\(round)")
      if round % 2 == 0 {
        store.removeAll()
      } else {
        for number in 0..<Self.fitting { try store.insert(.sample("x"), for: ObjectKey("/\(round)/\(number)")) }
        #expect(reader.answer("/\(round)/0")?.body == Array("x".utf8))
      }
    }
  }
}
