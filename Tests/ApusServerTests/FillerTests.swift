import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// An origin of one test: a closure.
private struct ClosureOrigin: Origin {
  let body: @Sendable (ObjectRequest, (NameDependency) throws -> Void) throws -> ComposedObject
  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    try body(request, watch)
  }
}

@Suite struct FillerTests {
  let directory = ChangingDirectory()
  let test = TestMemory()
  let store: ObjectStore
  let watcher: ChangeWatcher
  private let calls = Calls()

  private final class Calls: Sendable {
    let list = Mutex<[String]>([])
    let gate = Atomic<Bool>(true)
    func add(_ request: ObjectRequest) -> Int {
      list.withLock {
        $0.append(String(decoding: request.key.path, as: UTF8.self))
        return $0.count
      }
    }
    func count(_ path: String) -> Int { list.withLock { $0.count { $0 == path } } }
    /// Blocks the filler's thread until the test opens the gate.
    func passGate() { while !gate.load(ordering: .acquiring) { usleep(1000) } }
  }

  init() throws {
    store = ObjectStore(memory: test.memory, pathSeed: 1)
    watcher = try ChangeWatcher(store: store) { _ in }
    directory.write("f", "1")
  }

  private func filler(
    _ limits: FillerLimits = FillerLimits(),
    _ body: @escaping @Sendable (ObjectRequest, Int, (NameDependency) throws -> Void) throws -> ComposedObject
  ) -> Filler {
    let calls = calls
    let origin = ClosureOrigin { request, watch in try body(request, calls.add(request), watch) }
    let filler = Filler(store: store, watcher: watcher, origin: origin, limits: limits)
    filler.start()
    return filler
  }

  private func request(_ path: String) -> ObjectRequest { ObjectRequest(key: ObjectKey(path), host: []) }

  @Test func aMissIsComposedAndStored() {
    let filler = filler { request, _, _ in .sample(String(decoding: request.key.path, as: UTF8.self)) }
    defer { filler.stop() }
    for number in 0..<20 { filler.miss(request("/\(number)")) }
    #expect(eventually { (0..<20).allSatisfy { store.contains(ObjectKey("/\($0)")) } })
    #expect(eventually { filler.statistics.stored == 20 })
    #expect(filler.statistics.misses == 20 && filler.statistics.failed == 0)
  }

  @Test func missesOfOneObjectAreComposedOnceAndBeyondTheLimitDropped() {
    let calls = calls
    calls.gate.store(false, ordering: .releasing)
    var limits = FillerLimits()
    limits.waitingMax = 4
    let filler = filler(limits) { _, _, _ in
      calls.passGate()
      return .sample("x")
    }
    filler.miss(request("/first"))
    #expect(eventually { calls.count("/first") == 1 })
    let start_ns = MonotonicClock.now_ns()
    for _ in 0..<3 { for number in 0..<6 { filler.miss(request("/\(number)")) } }
    filler.miss(request("/first"))
    #expect(MonotonicClock.now_ns() - start_ns < 500_000_000, "no miss waits for the origin")
    #expect(filler.statistics.deduplicated == 9 && filler.statistics.dropped == 6)
    calls.gate.store(true, ordering: .releasing)
    #expect(eventually { filler.statistics.stored == 5 })
    filler.stop()
    #expect((0..<4).allSatisfy { calls.count("/\($0)") == 1 })
  }

  @Test func aRefusedObjectIsNotAskedForAgainForAWhile() {
    var limits = FillerLimits()
    limits.refused_ms = 200
    let filler = filler(limits) { _, _, _ in throw OriginRefusal.notStorable("no") }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { filler.statistics.notStorable == 1 })
    for _ in 0..<10 { filler.miss(request("/a")) }
    usleep(50_000)
    #expect(calls.count("/a") == 1 && filler.statistics.deduplicated == 10)
    usleep(200_000)
    filler.miss(request("/a"))
    #expect(eventually { calls.count("/a") == 2 })
  }

  @Test func aPurgeForgetsRefusals() {
    let filler = filler { _, call, _ in
      if call == 1 { throw OriginRefusal.failed("once") }
      return .sample("x")
    }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { filler.statistics.failed == 1 })
    #expect(filler.purge(path: Array("/a".utf8)) == 0)
    filler.miss(request("/a"))
    #expect(eventually { store.contains(ObjectKey("/a")) })
  }

  @Test func whatIsNotQuietIsTriedAgainWithoutAnotherMiss() {
    let record = Times()
    let filler = filler { _, call, _ in
      record.list.withLock { $0.append(MonotonicClock.now_ns()) }
      if call < 3 { throw OriginRefusal.notQuiet(retryAfter_ms: 60) }
      return .sample("x")
    }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { store.contains(ObjectKey("/a")) })
    let list = record.list.withLock { $0 }
    #expect(list.count == 3 && zip(list, list.dropFirst()).allSatisfy { $1 - $0 >= 59_000_000 })
    #expect(filler.statistics.putOff == 2)
  }

  private final class Times: Sendable { let list = Mutex<[UInt64]>([]) }

  @Test func whatNeverComesToRestIsGivenUp() {
    var limits = FillerLimits()
    limits.attemptsMax = 3
    let filler = filler(limits) { _, _, _ in throw OriginRefusal.notQuiet(retryAfter_ms: 5) }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { filler.statistics.failed == 1 })
    usleep(50_000)
    #expect(calls.count("/a") == 3)
  }

  @Test func aChangeDuringTheFillIsNotStoredAndTriedAgain() throws {
    let (directory, watcher, store) = (directory, watcher, store)
    let filler = filler { _, call, watch in
      try watch(NameDependency(directory: directory.path, name: "f"))
      if call == 1 {
        directory.write("f", "2")
        try watcher.drain()
        #expect(!store.contains(ObjectKey("/f")))
      }
      return .sample("\(call)")
    }
    defer { filler.stop() }
    filler.miss(request("/f"))
    #expect(eventually { store.contains(ObjectKey("/f")) })
    #expect(KernelReader(test: test, seed: 1).answer("/f")?.body == Array("2".utf8))
    #expect(filler.statistics.putOff == 1)
  }

  @Test func aPurgeDuringTheFillIsNotUndoneByIt() {
    let calls = calls
    calls.gate.store(false, ordering: .releasing)
    let filler = filler { _, call, _ in
      if call == 1 { calls.passGate() }
      return .sample("\(call)")
    }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { calls.count("/a") == 1 })
    filler.purgeAll()
    calls.gate.store(true, ordering: .releasing)
    #expect(eventually { store.contains(ObjectKey("/a")) })
    #expect(KernelReader(test: test, seed: 1).answer("/a")?.body == Array("2".utf8), "what was read before is gone")
  }

  @Test func purgesTakeWhatTheyName() {
    let filler = filler { _, _, _ in .sample("x") }
    defer { filler.stop() }
    let paths = ["/a", "/a/b", "/b"]
    for path in paths { filler.miss(request(path)) }
    #expect(eventually { paths.allSatisfy { store.contains(ObjectKey($0)) } })
    #expect(filler.purge(path: Array("/b".utf8)) == 1)
    #expect(filler.purge(prefix: Array("/a/".utf8)) == 1)
    #expect(filler.purgeAll() == 1)
    #expect(store.statistics.objects == 0)
  }

  @Test func whatCannotBeWatchedIsNotStored() {
    let filler = filler { _, _, watch in
      try watch(NameDependency(directory: "/no/such/directory", name: "f"))
      return .sample("x")
    }
    defer { filler.stop() }
    filler.miss(request("/a"))
    #expect(eventually { filler.statistics.failed == 1 })
    #expect(!store.contains(ObjectKey("/a")))
  }

  @Test func aFullStoreIsUsedFurtherByWhatIsAskedForMore() {
    let filler = filler { _, _, _ in .sample(String(repeating: "x", count: 14_000)) }
    defer { filler.stop() }
    var number = 0
    while store.statistics.arenaBytesUsed < store.statistics.budget - 65_536 {
      try? store.insert(.sample(String(repeating: "x", count: 14_000)), for: ObjectKey("/old/\(number)"))
      number += 1
    }
    // Asked for again and again, as by clients, until each is there.
    let isThere = { (number: Int) in
      filler.miss(request("/new/\(number)"))
      return store.contains(ObjectKey("/new/\(number)"))
    }
    for number in 0..<10 { #expect(eventually(within_ms: 5000) { isThere(number) }) }
    #expect(store.statistics.evictions > 0)
  }
}
