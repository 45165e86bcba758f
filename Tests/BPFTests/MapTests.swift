import Testing

@testable import BPF

@Suite("Maps", KernelTesting.trait) struct MapTests {
  /// The value of countersMap.
  struct Counters: Equatable {
    var packets: UInt32
    var unused: UInt32 = 0
    var bytes: UInt32
  }

  @Test("A hash map gives what programs put in, and the other way round")
  func hash() throws {
    var loaded = try LoadedObject.testPrograms()
    let lengths = try loaded.hashMap("lengthsMap", from: UInt32.self, to: UInt64.self)
    #expect(try lengths.lookup(64) == nil)
    let program = try loaded.program("counts")
    _ = try program.testRun(packet: testPacket, repeat: 3)
    #expect(try lengths.lookup(64) == 3)
    try lengths.update(64, 100)
    _ = try program.testRun(packet: testPacket)
    #expect(try lengths.lookup(64) == 101)
    #expect(try lengths.delete(64))
    #expect(try !lengths.delete(64))
    #expect(try lengths.lookup(64) == nil)
  }

  @Test("An update holds to its condition", arguments: ["lengthsMap"])
  func conditions(_ name: String) throws {
    let lengths = try LoadedObject.testPrograms().hashMap(name, from: UInt32.self, to: UInt64.self)
    #expect(try !lengths.update(1, 10, .ifPresent))
    #expect(try lengths.update(1, 10, .ifAbsent))
    #expect(try !lengths.update(1, 11, .ifAbsent))
    #expect(try lengths.lookup(1) == 10)
    #expect(try lengths.update(1, 12, .ifPresent))
    #expect(try lengths.lookup(1) == 12)
  }

  @Test("All entries are found, in batches and one by one", arguments: [0, 1, 1000, 5000])
  func entries(_ count: UInt32) throws {
    let loaded = try LoadedObject.testPrograms { $0.mapSizes["lengthsMap"] = .init(maxEntries: 5000) }
    let lengths = try loaded.hashMap("lengthsMap", from: UInt32.self, to: UInt64.self)
    for key in 0..<count { try lengths.update(key, UInt64(key) * 3) }
    let expected = (0..<count).map { [UInt64($0), UInt64($0) * 3] }
    func sorted(_ entries: [(key: UInt32, value: UInt64)]) -> [[UInt64]] {
      entries.sorted { $0.key < $1.key }.map { [UInt64($0.key), $0.value] }
    }
    #expect(sorted(try lengths.entries()) == expected)
    #expect(sorted(try #require(try lengths.batchedEntries())) == expected)
    #expect(sorted(try lengths.individualEntries()) == expected)
    #expect(try lengths.keys().sorted() == Array(0..<count))
  }

  @Test("A full hash map is an error, a full LRU map is not")
  func full() throws {
    let loaded = try LoadedObject.testPrograms {
      $0.mapSizes["lengthsMap"] = .init(maxEntries: 4)
      $0.mapSizes["recentMap"] = .init(maxEntries: 4)
    }
    let lengths = try loaded.hashMap("lengthsMap", from: UInt32.self, to: UInt64.self)
    for key in 0..<4 as Range<UInt32> { try lengths.update(key, 0) }
    #expect(throws: BPFError.systemCall(name: "BPF_MAP_UPDATE_ELEM of lengthsMap", errno: 7)) {
      try lengths.update(4, 0)
    }
    let recent = try loaded.hashMap("recentMap", from: UInt64.self, to: UInt64.self)
    for key in 0..<100 as Range<UInt64> { try recent.update(key, key) }
    #expect(try recent.lookup(99) == 99)
  }

  @Test("An array keeps values of a size that is no multiple of 8")
  func array() throws {
    let table = try LoadedObject.testPrograms().array("tableMap", of: Counters.self)
    #expect(table.count == 4)
    for index in 0..<4 { try table.update(index, Counters(packets: UInt32(index), bytes: 7)) }
    for index in 0..<4 { #expect(try table.lookup(index) == Counters(packets: UInt32(index), bytes: 7)) }
    #expect(throws: BPFError.notFound(kind: "element of tableMap", name: "4")) { try table.lookup(4) }
    #expect(throws: BPFError.notFound(kind: "element of tableMap", name: "4")) {
      try table.update(4, Counters(packets: 0, bytes: 0))
    }
  }

  @Test("Per-CPU counters add up to what programs counted")
  func perCPU() throws {
    var loaded = try LoadedObject.testPrograms()
    let counters = try loaded.perCPUArray("countersMap", of: Counters.self)
    _ = try loaded.program("counts").testRun(packet: testPacket, repeat: 5)
    let values = try counters.lookup(0)
    #expect(values.count == (try PossibleCPUs.count()))
    #expect(values.reduce(0) { $0 + $1.packets } == 5)
    #expect(values.reduce(0) { $0 + $1.bytes } == 5 * 64)
    try counters.update(0, Counters(packets: 2, bytes: 3))
    #expect(try counters.lookup(0).allSatisfy { $0 == Counters(packets: 2, bytes: 3) })
  }

  @Test("A mapped array is the memory the programs see")
  func mapped() throws {
    var loaded = try LoadedObject.testPrograms {
      $0.mapSizes["arenaMap"] = .init(valueSize: 12, maxEntries: 1000)
    }
    let arena = try loaded.mappedArray("arenaMap")
    #expect(arena.stride == 16)
    #expect(arena.byteCount == 16_000)
    arena.address(of: 0).storeBytes(of: 0x0807_0605_0403_0201, as: UInt64.self)
    arena.address(of: 999).storeBytes(of: 9, as: UInt8.self)
    _ = try loaded.program("arena").testRun(packet: testPacket)
    #expect(arena.base.load(as: UInt64.self) == 0x0908_0706_0504_0302)
    #expect(arena.address(of: 999).load(as: UInt8.self) == 9)
  }

  @Test("Types of other sizes than the kernel's are refused, with both sizes")
  func layout() throws {
    let loaded = try LoadedObject.testPrograms()
    #expect(throws: BPFError.layoutMismatch(of: "key of lengthsMap", expected: 4, actual: 8)) {
      _ = try loaded.hashMap("lengthsMap", from: UInt64.self, to: UInt64.self)
    }
    #expect(throws: BPFError.layoutMismatch(of: "value of lengthsMap", expected: 8, actual: 4)) {
      _ = try loaded.hashMap("lengthsMap", from: UInt32.self, to: UInt32.self)
    }
    #expect(throws: BPFError.layoutMismatch(of: "value of countersMap", expected: 12, actual: 16)) {
      _ = try loaded.perCPUArray("countersMap", of: (UInt64, UInt64).self)
    }
    #expect(throws: BPFError.layoutMismatch(of: "value of tableMap", expected: 12, actual: 1)) {
      _ = try loaded.array("tableMap", of: UInt8.self)
    }
  }

  @Test("A map of another kind, or none, is refused")
  func kinds() throws {
    let loaded = try LoadedObject.testPrograms()
    #expect(throws: BPFError.wrongMapType(map: "tableMap", expected: "hash", actual: .array)) {
      _ = try loaded.hashMap("tableMap", from: UInt32.self, to: Counters.self)
    }
    #expect(throws: BPFError.self) { _ = try loaded.mappedArray("tableMap") }
    #expect(throws: BPFError.self) { _ = try loaded.ringBuffer("tableMap") }
    #expect(throws: BPFError.notFound(kind: "map", name: "nowhere")) {
      _ = try loaded.array("nowhere", of: UInt32.self)
    }
    #expect(throws: BPFError.notFound(kind: "map", name: "nowhere")) {
      _ = try LoadedObject.testPrograms { $0.mapSizes["nowhere"] = .init(maxEntries: 1) }
    }
  }
}
