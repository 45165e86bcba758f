import Contract
import Testing

@testable import ApusServer

@Suite struct ObjectStoreTests {
  let test = TestMemory()
  let clock = TestClock()
  let store: ObjectStore
  let reader: KernelReader

  init() {
    let clock = clock
    store = ObjectStore(memory: test.memory, pathSeed: 0x1234_5678_9abc_def0, clock_ns: { clock.now_ns() })
    reader = KernelReader(test: test, seed: 0x1234_5678_9abc_def0)
  }

  @Test func theContractsStructuresHaveTheirSizes() {
    #expect(MemoryLayout<ObjectRecord>.size == ObjectRecord.byteCount)
    #expect(MemoryLayout<ObjectRecord>.offset(of: \.hash) == StoreMemory.fieldsOffset)
    #expect(MemoryLayout<ObjectRecord>.offset(of: \.lastHit_s) == StoreMemory.lastHitOffset)
    #expect(MemoryLayout<ResponseVariant>.size == 8)
    #expect(MemoryLayout<StoredRepresentation>.size == StoredRepresentation.byteCount)
  }

  @Test(
    arguments: ["/", "/a", "/1234567", "/12345678", "/" + String(repeating: "x", count: 254)], ["", "a", "odd", "even"])
  func whatIsStoredIsReadAsTheKernelReads(path: String, body: String) throws {
    for server in ["x", "xy"] {
      let object = ComposedObject.sample(body, server: server)
      try store.insert(object, for: ObjectKey(path, site: 7))
      for variant in 0..<VariantIndex.count {
        let answer = try #require(reader.answer(path, site: 7, variant: variant))
        #expect(answer.head == object.heads[variant]?.bytes)
        #expect(answer.body == object.body)
        #expect(answer.dateOffset == object.heads[variant]?.dateOffset)
        #expect(answer.checksum == answer.expectedChecksum)
        #expect(answer.isContiguous == (variant == VariantIndex.persistent11))
      }
      #expect(reader.read(path, site: 8) == .none)
      #expect(reader.read(path + "x", site: 7) == .none)
    }
  }

  @Test func equalHeadsShareTheirBytesBeforeTheBody() throws {
    var object = ComposedObject.sample("body")
    object.heads[VariantIndex.closing10] = object.heads[VariantIndex.persistent11]
    object.heads[VariantIndex.persistent10] = object.heads[VariantIndex.closing11]
    let record = try Record(object, for: ObjectKey("/a"), hash: 1)
    #expect(record.byteCount < (try Record(.sample("body"), for: ObjectKey("/a"), hash: 1)).byteCount - 100)
    try store.insert(object, for: ObjectKey("/a"))
    for variant in 0..<VariantIndex.count {
      #expect(reader.answer("/a", variant: variant)?.head == object.heads[variant]?.bytes)
    }
  }

  @Test func aMissingVariantHasNoHeadAndTheNextOneStandsBeforeTheBody() throws {
    var object = ComposedObject.sample("body")
    object.heads[VariantIndex.persistent11] = nil
    object.heads[VariantIndex.closing11]?.dateOffset = nil
    try store.insert(object, for: ObjectKey("/a"))
    #expect(reader.read("/a", variant: VariantIndex.persistent11) == .none)
    let closing = try #require(reader.answer("/a", variant: VariantIndex.closing11))
    #expect(closing.isContiguous && closing.dateOffset == 0 && closing.checksum == closing.expectedChecksum)
  }

  @Test func representationsValidatorsAndHeadsOf304AreReadAsTheKernelReads() throws {
    let date = Array("Sun, 06 Nov 1994 08:49:37 GMT".utf8)
    func representation(_ name: String, tag: String) -> ComposedObject.Representation {
      var representation = ComposedObject.Representation(
        heads: ComposedObject.sample(name, server: name).heads, body: Array(name.utf8), answersHead: true)
      representation.conditions = .evaluated(
        ComposedObject.Validators(tag: Array(tag.utf8), lastModified: date),
        heads: ComposedObject.sample("", server: "304 " + name).heads)
      return representation
    }
    let object = ComposedObject(
      representations: [
        .stored(representation("identity", tag: "\"1\"")), .elsewhere, .none,
        .stored(representation("gzip", tag: "\"12\"")),
      ])
    try store.insert(object, for: ObjectKey("/a"))
    for (coding, tag) in [(ContentCoding.identity, "\"1\""), (.gzip, "\"12\"")] {
      for variant in 0..<VariantIndex.count {
        let answer = try #require(reader.answer("/a", coding: coding, variant: variant))
        #expect(answer.head == object.representation(coding)?.heads[variant]?.bytes)
        #expect(answer.body == Array("\(coding)".utf8) && answer.checksum == answer.expectedChecksum)
        let notModified = try #require(reader.answer("/a", coding: coding, variant: variant + VariantIndex.count))
        let expected = ComposedObject.sample("", server: "304 \(coding)").heads[variant]
        #expect(notModified.head == expected?.bytes && notModified.dateOffset == expected?.dateOffset)
        #expect(notModified.checksum == notModified.expectedChecksum)
      }
      let validators = try #require(reader.validators("/a", coding: coding))
      #expect(validators.tag == Array(tag.utf8) && validators.date == date)
      #expect(validators.rules == RepresentationRule.answersHead | RepresentationRule.evaluatesConditions)
    }
    #expect(reader.read("/a", coding: .brotli) == .none && reader.read("/a", coding: .zstandard) == .none)
  }

  @Test func brokenValidatorsAreRefused() {
    for (tag, date) in [("", 29), ("\"", 29), ("\"" + String(repeating: "x", count: 64), 29), ("\"1\"", 28)] {
      var object = ComposedObject.sample("")
      var identity = object.representation(.identity)!
      identity.conditions = .evaluated(
        ComposedObject.Validators(tag: Array(tag.utf8), lastModified: [UInt8](repeating: 0x20, count: date)),
        heads: identity.heads)
      object.representations[0] = .stored(identity)
      #expect(throws: StoreRefusal.malformed) { try store.insert(object, for: ObjectKey("/a")) }
    }
    let nowhere = ComposedObject(representations: [.elsewhere, .none, .elsewhere, .none])
    #expect(throws: StoreRefusal.malformed) { try store.insert(nowhere, for: ObjectKey("/a")) }
  }

  @Test func headsLargerThanARecordAreRefused() {
    var object = ComposedObject.sample("")
    object.heads = (0..<4).map { number in
      ComposedObject.Head(bytes: [UInt8](repeating: UInt8(number), count: Limits.responseBytesMax), dateOffset: nil)
    }
    #expect(throws: StoreRefusal.tooLarge) { try store.insert(object, for: ObjectKey("/a")) }
  }

  @Test func brokenObjectsAreRefused() {
    let key = ObjectKey("/a")
    let large = ComposedObject.sample(String(repeating: "x", count: Limits.responseBytesMax))
    #expect(throws: StoreRefusal.tooLarge) { try store.insert(large, for: key) }
    var headless = ComposedObject.sample("")
    headless.heads = [nil, nil, nil, nil]
    #expect(throws: StoreRefusal.malformed) { try store.insert(headless, for: key) }
    for offset in [0, -1, ComposedObject.sample("").heads[0]!.bytes.count - 28] {
      var misdated = ComposedObject.sample("")
      misdated.heads[0]?.dateOffset = offset
      #expect(throws: StoreRefusal.malformed) { try store.insert(misdated, for: key) }
    }
    for path in ["", "/" + String(repeating: "x", count: Limits.pathBytesMax)] {
      #expect(throws: StoreRefusal.malformed) { try store.insert(.sample(""), for: ObjectKey(path)) }
    }
    #expect(store.statistics.objects == 0 && store.statistics.refusals == 7)
  }

  @Test func theLargestAnswerFits() throws {
    var object = ComposedObject.sample("")
    let head = object.heads.compactMap { $0?.bytes.count }.max()!
    object.body = Array(repeating: 0xff, count: Limits.responseBytesMax - head)
    try store.insert(object, for: ObjectKey("/a"))
    let answer = try #require(reader.answer("/a"))
    #expect(answer.body == object.body && answer.checksum == answer.expectedChecksum)
  }

  @Test func aReplacementIsAnotherRecordWithAnotherGeneration() throws {
    try store.insert(.sample("old"), for: ObjectKey("/a"))
    let old = try #require(reader.answer("/a"))
    try store.insert(.sample("new"), for: ObjectKey("/a"))
    let new = try #require(reader.answer("/a"))
    #expect(new.body == Array("new".utf8))
    #expect(new.unit != old.unit && new.generation != old.generation)
    #expect(reader.slots(0, Array("/a".utf8)).count { $0 != 0 } == 1)
    let oldGeneration = { (test.memory.arena + old.unit * 64).loadAtomicUInt32() }
    #expect(oldGeneration() == old.generation, "an answer made from the old record can be repeated")
    #expect(store.statistics.objects == 1)
    clock.advance(ms: RetiredRecords.retention_ns / 1_000_000)
    try store.insert(.sample("other"), for: ObjectKey("/b"))
    #expect(oldGeneration() == old.generation | 1, "who still copies from the old record sees that it is gone")
  }

  @Test func aRemovedRecordStaysUntouchedForItsQuarantine() throws {
    try store.insert(.sample("old"), for: ObjectKey("/a"))
    let old = try #require(reader.answer("/a"))
    #expect(store.remove(ObjectKey("/a")) == 1)
    #expect(reader.read("/a") == .none)
    let generation = { (test.memory.arena + old.unit * 64).loadAtomicUInt32() }
    #expect(generation() == old.generation)
    clock.advance(ms: RetiredRecords.retention_ns / 1_000_000)
    try store.insert(.sample("x"), for: ObjectKey("/first"))
    #expect(generation() == old.generation | 1)
    for number in 0..<100 { try store.insert(.sample("x"), for: ObjectKey("/\(number)")) }
    #expect(generation() == old.generation | 1)
    #expect((0..<100).allSatisfy { reader.answer("/\($0)")?.unit != old.unit })
  }

  @Test func removalByPathAndPrefixTakesWhatItNames() throws {
    let paths = ["/a", "/a/b", "/a/c", "/ab", "/b"]
    for path in paths {
      for site: UInt16 in [0, 1] { try store.insert(.sample(path), for: ObjectKey(path, site: site)) }
    }
    #expect(store.remove(path: Array("/b".utf8)) == 2)
    #expect(store.remove(pathPrefix: Array("/a/".utf8)) == 4)
    #expect(paths.filter { reader.answer($0) != nil } == ["/a", "/ab"])
    #expect(store.removeAll() == 4)
    #expect(paths.allSatisfy { reader.read($0) == .none && reader.read($0, site: 1) == .none })
    let statistics = store.statistics
    #expect(statistics.objects == 0 && statistics.bytes == 0 && statistics.invalidations == 10)
    #expect(statistics.insertions == 10 && statistics.evictions == 0)
  }

  @Test func anObjectGoesWithAnyNameItDependsOn() throws {
    func insert(_ path: String, _ names: [(String, String?)]) throws {
      let ticket = store.begin(ObjectKey(path))
      for (directory, name) in names { store.depend(ticket, on: NameDependency(directory: directory, name: name)) }
      try store.commit(ticket, .sample(path))
    }
    try insert("/a", [("/d", "a"), ("/", "d")])
    try insert("/b", [("/d", "b"), ("/", "d")])
    try insert("/", [("/d", nil), ("/", "d")])
    #expect(store.invalidate(directory: "/d", name: "c") == 1, "the one that depends on all names")
    #expect(reader.answer("/a") != nil && reader.answer("/") == nil)
    #expect(store.invalidate(directory: "/d", name: "a") == 1)
    #expect(store.invalidate(directory: "/d", name: "a") == 0)
    #expect(store.invalidate(directory: "/e", name: "b") == 0)
    #expect(store.isUsed(directory: "/d") && store.takeUnusedDirectories().isEmpty)
    #expect(store.invalidate(directory: "/", name: nil) == 1)
    #expect(store.statistics.objects == 0)
    #expect(store.takeUnusedDirectories() == ["/", "/d"] && store.takeUnusedDirectories().isEmpty)
  }

  @Test func aTicketIsDeadAfterAChangeOrAPurge() {
    let deaths: [(ObjectStore) -> Void] = [
      { $0.invalidate(directory: "/d", name: "a") }, { $0.invalidate(directory: "/d", name: nil) },
      { $0.remove(ObjectKey("/a")) }, { $0.remove(path: Array("/a".utf8)) }, { $0.remove(pathPrefix: [47]) },
      { $0.removeAll() },
    ]
    for death in deaths {
      let ticket = store.begin(ObjectKey("/a"))
      store.depend(ticket, on: NameDependency(directory: "/d", name: "a"))
      death(store)
      store.depend(ticket, on: NameDependency(directory: "/later", name: "a"))
      #expect(throws: StoreRefusal.invalidated) { try store.commit(ticket, .sample("a")) }
      #expect(!store.isUsed(directory: "/d") && !store.isUsed(directory: "/later"))
    }
    #expect(reader.read("/a") == .none)
  }

  @Test func theReplacedObjectsDependenciesGoWithIt() throws {
    for directory in ["/old", "/new"] {
      let ticket = store.begin(ObjectKey("/a"))
      store.depend(ticket, on: NameDependency(directory: directory, name: "a"))
      try store.commit(ticket, .sample(directory))
    }
    #expect(store.invalidate(directory: "/old", name: "a") == 0)
    #expect(reader.answer("/a")?.body == Array("/new".utf8))
  }

  @Test func generationsAreEvenUniqueAndStartAfreshWhenAllWereUsed() throws {
    let clock = clock
    let store = ObjectStore(
      memory: test.memory, pathSeed: reader.seed, firstGeneration: UInt32.max - 3, clock_ns: { clock.now_ns() })
    try store.insert(.sample("1"), for: ObjectKey("/1"))
    try store.insert(.sample("2"), for: ObjectKey("/2"))
    #expect(reader.answer("/1")?.generation == UInt32.max - 3)
    #expect(reader.answer("/2")?.generation == UInt32.max - 1)
    try store.insert(.sample("3"), for: ObjectKey("/3"))
    #expect(reader.answer("/3")?.generation == 2)
    #expect(reader.read("/1") == .none && reader.read("/2") == .none)
  }

  @Test func aFullBucketLosesItsLeastRecentlyHit() throws {
    // Paths of one bucket, found by trying.
    let bucket = IndexBucket.bucket(hash: reader.hash(0, Array("/0".utf8)))
    let paths = Array(
      (0...).lazy.map { "/\($0)" }
        .filter { IndexBucket.bucket(hash: reader.hash(0, Array($0.utf8))) == bucket }.prefix(9))
    for path in paths.prefix(8) { try store.insert(.sample(path), for: ObjectKey(path)) }
    for (number, path) in paths.prefix(8).enumerated() {
      _ = reader.answer(path, hit_s: 5000 + (number == 3 ? 0 : UInt32(number) + 1))
    }
    try store.insert(.sample(paths[8]), for: ObjectKey(paths[8]))
    #expect(paths.filter { reader.answer($0) == nil } == [paths[3]])
    #expect(store.statistics.evictions == 1 && store.statistics.objects == 8)
  }
}
