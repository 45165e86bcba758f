import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// Waits until the condition holds, at most for so long; what is waited for usually holds after microseconds.
func eventually(within_ms: Int = 2000, _ condition: () -> Bool) -> Bool {
  let end_ns = MonotonicClock.now_ns() + UInt64(within_ms) * 1_000_000
  while !condition() {
    if MonotonicClock.now_ns() > end_ns { return false }
    usleep(1000)
  }
  return true
}

@Suite struct ChangeWatcherTests {
  let directory = ChangingDirectory()
  let test = TestMemory()
  let store: ObjectStore
  let watcher: ChangeWatcher
  let beats = Beats()

  final class Beats: Sendable {
    let count = Atomic<Int>(0)
    let last_ns = Atomic<UInt64>(0)
  }

  init() throws {
    store = ObjectStore(memory: test.memory, pathSeed: 1)
    let beats = beats
    watcher = try ChangeWatcher(store: store) { drained_ns in
      beats.count.add(1, ordering: .relaxed)
      beats.last_ns.store(drained_ns, ordering: .relaxed)
    }
    for name in ["a", "b"] { directory.makeDirectory(name) }
    for name in ["a/f", "a/g", "b/f"] { directory.write(name, "1") }
    directory.link("current", to: "a")
  }

  private let key = ObjectKey("/object")

  /// Stores an object that depends on the walk to a path; the events so far are read before.
  private func store(_ path: String) throws {
    let ticket = store.begin(key)
    _ = try #require(WatchedPath(Array(path.utf8))).resolve(below: directory.path) {
      try watcher.watch($0, for: ticket)
    }
    try store.commit(ticket, .sample("x"))
    try watcher.drain()
    try #require(store.contains(key))
  }

  private func isGone() throws -> Bool {
    try watcher.drain()
    return !store.contains(key)
  }

  private func append(_ name: String) {
    let file = fopen(directory.url(name), "a")
    fputs("2", file)
    fclose(file)
  }

  @Test(
    arguments: [
      ("/a/f", "modified in place"), ("/a/f", "truncated"), ("/a/f", "replaced"), ("/a/f", "removed"),
      ("/a/f", "moved away"), ("/a/f", "mode"), ("/a/f", "times"), ("/a/f", "parent moved"), ("/a/f", "parent removed"),
      ("/a/new", "created"), ("/a/new", "linked"), ("/current/f", "link flipped"), ("/current/f", "modified in place"),
      ("/a/f", "parent's mode"),
    ])
  func aChangeRemovesTheObject(path: String, change: String) throws {
    try store(path)
    switch change {
    case "modified in place": append("a/f")
    case "truncated": directory.write("a/f", "")
    case "replaced":
      directory.write("t", "2")
      directory.rename("t", to: "a/f")
    case "removed": directory.remove("a/f")
    case "moved away": directory.rename("a/f", to: "elsewhere")
    case "mode": chmod(directory.url("a/f"), 0o600)
    case "times": utimes(directory.url("a/f"), nil)
    case "parent moved": directory.rename("a", to: "z")
    case "parent removed":
      for name in ["a/f", "a/g", "a"] { directory.remove(name) }
    case "created": directory.write("a/new", "1")
    case "linked": link(directory.url("a/f"), directory.url("a/new"))
    case "link flipped":
      directory.link("next", to: "b")
      directory.rename("next", to: "current")
    case "parent's mode": chmod(directory.url("a"), 0o700)
    default: Issue.record("no such change: \(change)")
    }
    #expect(try isGone())
  }

  @Test func otherNamesDoNotMatter() throws {
    try store("/a/f")
    append("a/g")
    append("b/f")
    directory.write("a/new", "")
    #expect(try !isGone())
  }

  @Test func aDependencyOnAllNamesGoesWithAny() throws {
    let ticket = store.begin(key)
    try watcher.watch(NameDependency(directory: directory.url("a"), name: nil), for: ticket)
    try store.commit(ticket, .sample("x"))
    directory.write("a/new", "")
    #expect(try isGone())
  }

  @Test func aDirectoryInThePlaceOfAnotherIsWatchedAnew() throws {
    try store("/a/f")
    directory.rename("a", to: "z")
    directory.makeDirectory("a")
    directory.write("a/f", "2")
    // The events are still unread: the path must lead to the new directory all the same.
    let ticket = store.begin(key)
    try watcher.watch(NameDependency(directory: directory.url("a"), name: "f"), for: ticket)
    let again = store.begin(ObjectKey("/again"))
    try watcher.watch(NameDependency(directory: directory.url("a"), name: "f"), for: again)
    try store.commit(again, .sample("y"))
    #expect(try isGone())
    #expect(store.contains(ObjectKey("/again")), "its directory was watched as the new one")
    append("z/f")
    try watcher.drain()
    #expect(store.contains(ObjectKey("/again")))
    append("a/f")
    try watcher.drain()
    #expect(!store.contains(ObjectKey("/again")))
  }

  /// More events than the queue takes (fs.inotify.max_queued_events), none of a name anything depends on.
  @Test func aRealOverflowOfTheQueueRemovesEverythingAndKillsTickets() throws {
    directory.write("a/h", "")
    try store("/a/f")
    let ticket = store.begin(ObjectKey("/pending"))
    let limit = try #require(Self.number("/proc/sys/fs/inotify/max_queued_events"))
    // Equal events one after the other are merged, so two names take turns.
    for round in 0..<limit / 2 { chmod(directory.url(round % 2 == 0 ? "a/g" : "a/h"), 0o644) }
    try watcher.drain()
    #expect(store.contains(key), "so many the queue takes")
    for round in 0...limit { chmod(directory.url(round % 2 == 0 ? "a/g" : "a/h"), 0o644) }
    try watcher.drain()
    #expect(!store.contains(key))
    #expect(throws: StoreRefusal.invalidated) { try store.commit(ticket, .sample("x")) }
    // And it goes on: what is stored anew is watched.
    try store("/a/f")
    append("a/f")
    #expect(try isGone())
  }

  private static func number(_ path: String) -> Int? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 32)
    guard fgets(&text, 32, file) != nil else { return nil }
    return Int(String(decoding: text.prefix { $0 >= 48 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
  }

  @Test func aChangeDuringTheFillIsNotStored() throws {
    let ticket = store.begin(key)
    try watcher.watch(NameDependency(directory: directory.url("a"), name: "f"), for: ticket)
    append("a/f")
    try watcher.drain()
    #expect(throws: StoreRefusal.invalidated) { try store.commit(ticket, .sample("x")) }
  }

  @Test func watchesNothingDependsOnAreRemoved() throws {
    watcher.start()
    defer { watcher.stop() }
    let ticket = store.begin(key)
    try watcher.watch(NameDependency(directory: directory.url("a"), name: "f"), for: ticket)
    #expect(watcher.watchCount == 1)
    store.abandon(ticket)
    #expect(eventually { watcher.watchCount == 0 })
    // And it can be watched again.
    try store("/a/f")
    append("a/f")
    #expect(eventually { !store.contains(key) })
  }

  @Test func whatCannotBeWatchedIsNotStored() throws {
    let ticket = store.begin(key)
    let missing = NameDependency(directory: directory.url("missing"), name: "f")
    #expect(throws: WatchError.system(call: "statfs", path: missing.directory, errno: ENOENT)) {
      try watcher.watch(missing, for: ticket)
    }
    #expect(throws: WatchError.untoldChanges(directory: "/proc/self")) {
      try watcher.watch(NameDependency(directory: "/proc/self", name: "stat"), for: ticket)
    }
  }

  @Test func theHeartbeatFollowsTheDraining() throws {
    watcher.start()
    try #require(eventually { beats.count.load(ordering: .relaxed) > 2 })
    // Ten changes: as soon as a beat tells of a time after the change, the object is gone.
    for _ in 0..<10 {
      try store("/a/f")
      append("a/f")
      let changed_ns = MonotonicClock.now_ns()
      #expect(eventually { beats.last_ns.load(ordering: .acquiring) > changed_ns })
      #expect(!store.contains(key))
    }
    watcher.stop()
    let count = beats.count.load(ordering: .relaxed)
    usleep(250_000)
    #expect(beats.count.load(ordering: .relaxed) == count, "no heartbeat after the stop")
  }

  @Test func heartbeatsComeInTimeWithoutEvents() throws {
    watcher.start()
    usleep(1_050_000)
    watcher.stop()
    let count = beats.count.load(ordering: .relaxed)
    #expect(count >= 8, "\(count) heartbeats in a second")
  }
}
