import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct SweepListTests {
  private func name(_ number: Int) -> NameDependency { NameDependency(directory: "/d\(number % 7)", name: "\(number)") }

  @Test func aSweepSeesEveryNameThatIsThereAllTheWhile() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      var list = SweepList()
      let stays = Set(0..<Int.random(in: 0..<60, using: &random))
      for number in stays { list.insert(name(number), .failure(errno: 0)) }
      var next = 1000
      var seen: Set<NameDependency> = []
      var end = Int.max
      while true {
        let (piece, start) = list.piece(before: end, count: 8)
        if piece.isEmpty { break }
        seen.formUnion(piece.map(\.dependency))
        end = start
        // Between two pieces others come and go, and some of those that stay are looked at anew.
        for _ in 0..<Int.random(in: 0..<20, using: &random) {
          switch Int.random(in: 0..<3, using: &random) {
          case 0:
            list.insert(name(next), .failure(errno: 0))
            next += 1
          case 1: list.remove(name(Int.random(in: 1000...next, using: &random)))
          default: if let some = stays.randomElement(using: &random) { list.insert(name(some), .failure(errno: 1)) }
          }
        }
      }
      #expect(stays.allSatisfy { seen.contains(name($0)) })
    }
  }

  @Test func whatIsRemovedIsNotThere() {
    var list = SweepList()
    for number in 0..<5 { list.insert(name(number), .failure(errno: Int32(number))) }
    for number in [0, 4, 2, 2] { list.remove(name(number)) }
    #expect(Set(list.dependencies) == [name(1), name(3)])
    #expect(list[name(3)] == .failure(errno: 3) && list[name(0)] == nil && list.count == 2)
  }

  private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }
}

/// Changes no event tells of. All of it runs as it does in the daemon: document root, filler, watcher with its threads.
@Suite struct UntoldChangeTests {
  /// A second is what Apus promises; another one is for a machine that is busy with other tests.
  private static let patience_ms = 2000

  /// A document root with the daemon's machinery; to be made and used on one thread.
  struct Machinery: Sendable {
    let directory = ChangingDirectory()
    let test = TestMemory()
    let store: ObjectStore
    let watcher: ChangeWatcher
    let filler: Filler
    let beats = Atomic64()

    final class Atomic64: Sendable { let count = Atomic<Int>(0) }

    init(root: String? = nil, in made: ChangingDirectory? = nil) throws {
      store = ObjectStore(memory: test.memory, pathSeed: 1)
      let beats = beats
      watcher = try ChangeWatcher(store: store) { _ in beats.count.add(1, ordering: .relaxed) }
      filler = Filler(store: store, watcher: watcher, origin: try DocumentRoot(path: root ?? directory.path))
    }

    func run(_ body: () throws -> Void) throws {
      watcher.start()
      filler.start()
      defer {
        filler.stop()
        watcher.stop()
      }
      try body()
    }

    /// Whether the object is stored, within a time, when it is asked for again and again.
    func learns(_ path: String, within_ms: Int = 4000) -> Bool {
      eventually(within_ms: within_ms) {
        filler.miss(ObjectRequest(key: ObjectKey(path), host: []))
        usleep(20_000)
        return store.contains(ObjectKey(path))
      }
    }

    func forgets(_ path: String) -> Bool {
      eventually(within_ms: UntoldChangeTests.patience_ms) { !store.contains(ObjectKey(path)) }
    }
  }

  @Test func aWriteThroughAnotherNameOfTheFileIsSeen() throws {
    let machinery = try Machinery()
    let directory = machinery.directory
    try machinery.run {
      directory.write("f", "1")
      directory.makeDirectory("elsewhere")
      #expect(link(directory.url("f"), directory.url("elsewhere/g")) == 0)
      for round in 0..<3 {
        #expect(machinery.learns("/f"))
        #expect(machinery.store.nameCount(.revalidated) == 1, "only looking tells of the file")
        directory.write("elsewhere/g", "\(round)")
        #expect(machinery.forgets("/f"))
      }
    }
  }

  @Test func aNameMadeAfterStoringIsSeenTooAndTheFileIsLookedAtFromThen() throws {
    let machinery = try Machinery()
    let directory = machinery.directory
    try machinery.run {
      directory.write("f", "1")
      directory.makeDirectory("elsewhere")
      #expect(machinery.learns("/f"))
      #expect(machinery.store.nameCount(.revalidated) == 0)
      #expect(link(directory.url("f"), directory.url("elsewhere/g")) == 0)
      #expect(machinery.forgets("/f"))
      #expect(machinery.learns("/f"))
      directory.write("elsewhere/g", "2")
      #expect(machinery.forgets("/f"))
    }
  }

  @Test func aWriteThroughAMappingIsSeenAndTheFileIsNotStoredWhileItIsMapped() throws {
    let machinery = try Machinery()
    let directory = machinery.directory
    try machinery.run {
      directory.write("f", String(repeating: "1", count: 8000))
      #expect(machinery.learns("/f"))
      let file = open(directory.url("f"), O_RDWR | O_CLOEXEC)
      let mapping = mmap(nil, 8000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
      close(file)
      let bytes = try #require(mapping != MAP_FAILED ? mapping : nil).assumingMemoryBound(to: UInt8.self)
      usleep(50_000)
      #expect(machinery.store.contains(ObjectKey("/f")), "opening it changes nothing")
      bytes[0] = UInt8(ascii: "2")
      #expect(machinery.forgets("/f"))
      #expect(!machinery.learns("/f", within_ms: 1200), "the next write to the page would show in nothing")
      munmap(mapping, 8000)
      #expect(machinery.learns("/f"))
    }
  }

  @Test(.mounting) func whatIsMountedOverADirectoryIsSeenAndWhatIsUnmounted() throws {
    try FileSystemNamespace.run {
      let machinery = try Machinery()
      let directory = machinery.directory
      let require = FileSystemNamespace.require
      try machinery.run {
        directory.makeDirectory("d")
        directory.write("d/f", "below")
        directory.write("other", "1")
        for _ in 0..<2 {
          try require(machinery.learns("/d/f"), "stored")
          try require(machinery.learns("/other"), "the other is stored")
          try FileSystemNamespace.mount("tmpfs", at: directory.url("d"))
          try require(machinery.forgets("/d/f"), "the mount is seen")
          directory.write("d/f", "above")
          try require(machinery.learns("/d/f"), "stored from the file system above")
          try require(machinery.store.contains(ObjectKey("/other")), "nothing else has to go")
          try FileSystemNamespace.unmount(directory.url("d"))
          try require(machinery.forgets("/d/f"), "the unmount is seen")
        }
      }
    }
  }

  @Test(.mounting) func aFileThatIsMountedOverIsSeen() throws {
    try FileSystemNamespace.run {
      let machinery = try Machinery()
      let directory = machinery.directory
      try machinery.run {
        directory.write("f", "below")
        directory.write("other", "above")
        try FileSystemNamespace.require(machinery.learns("/f"), "stored")
        try FileSystemNamespace.bind(directory.url("other"), at: directory.url("f"))
        try FileSystemNamespace.require(machinery.forgets("/f"), "the mount is seen")
      }
    }
  }

  @Test(.mounting) func aChangeInALayerBelowIsSeen() throws {
    try FileSystemNamespace.run {
      let directory = ChangingDirectory()
      for name in ["lower", "upper", "work", "merged"] { directory.makeDirectory(name) }
      directory.write("lower/f", "1")
      let layers = ["lowerdir=lower", "upperdir=upper", "workdir=work"]
        .map { $0.replacing("=", with: "=" + directory.path + "/") }
      try FileSystemNamespace.mount("overlay", at: directory.url("merged"), options: layers.joined(separator: ","))
      let machinery = try Machinery(root: directory.url("merged"))
      let require = FileSystemNamespace.require
      try require(FileSystemKind(path: directory.url("merged")) == .layered, "overlay is a layered file system")
      try machinery.run {
        try require(machinery.learns("/f"), "stored")
        directory.write("lower/f", "2")
        try require(machinery.forgets("/f"), "the change below is seen")
        try require(machinery.learns("/f"), "stored again")
        directory.write("merged/f", "3")
        try require(machinery.forgets("/f"), "the change above, which copies the file up, is seen")
      }
    }
  }

  @Test(.mounting) func aRemoteFileSystemIsLookedAtAndWhenItHangsOnlyItsObjectsGo() throws {
    try FileSystemNamespace.run {
      let machinery = try Machinery()
      let directory = machinery.directory
      let require = FileSystemNamespace.require
      directory.makeDirectory("remote")
      directory.write("local", "1")
      let remote = try FuseFile(at: directory.url("remote"), "1")
      defer { remote.end() }
      try machinery.run {
        try require(machinery.learns("/local"), "the local file is stored")
        for round in 0..<3 {
          try require(machinery.learns("/remote/f"), "stored")
          // The same size: only its times tell.
          remote.change("\(round)")
          try require(machinery.forgets("/remote/f"), "the change is seen")
        }
        try require(machinery.learns("/remote/f"), "stored")
        remote.behave(.hangs)
        let beats = machinery.beats.count.load(ordering: .relaxed)
        try require(machinery.forgets("/remote/f"), "what cannot be looked at goes")
        usleep(500_000)
        try require(machinery.beats.count.load(ordering: .relaxed) > beats + 4, "the heart goes on beating")
        try require(machinery.store.contains(ObjectKey("/local")), "what is local stays")
        directory.write("local", "2")
        try require(machinery.forgets("/local"), "and is watched")
        remote.behave(.well)
        try require(machinery.learns("/remote/f"), "stored again when it answers again")
      }
    }
  }

  @Test(.mounting) func aFileThatCannotBeReadIsNotStoredAndIsAnErrorForItsClientsOnly() throws {
    try FileSystemNamespace.run {
      let machinery = try Machinery()
      let directory = machinery.directory
      let require = FileSystemNamespace.require
      directory.makeDirectory("remote")
      directory.write("local", "1")
      let remote = try FuseFile(at: directory.url("remote"), "1")
      defer { remote.end() }
      remote.behave(.readFails)
      try machinery.run {
        try require(!machinery.learns("/remote/f", within_ms: 500), "not stored")
        try require(machinery.filler.statistics.failed > 0, "counted")
        try require(machinery.learns("/local"), "others are")
        var files = FileStore(
          sites: Sites(try DocumentRoot(path: directory.path)), bytesMax: 1 << 20, openFilesMax: 1)
        try require(status(of: "/remote/f", &files) == .internalServerError, "500, not half a file")
        try require(status(of: "/local", &files) == nil, "others are answered")
        remote.behave(.well)
        usleep(UInt32(ServerLimits.fileValidity_ms) * 1000)
        try require(status(of: "/remote/f", &files) == nil, "and the file again when it can be read")
        try require(machinery.learns("/remote/f"), "stored too")
      }
    }
  }

  private func status(of path: String, _ files: inout FileStore) -> Status? {
    Array(path.utf8).withUnsafeBytes { path in
      let answer = files.answer(
        site: 0, path: path, query: UnsafeRawBufferPointer(start: nil, count: 0), now_ns: Int(MonotonicClock.now_ns()))
      if case .status(let response) = answer { return response.status }
      return nil
    }
  }

  @Test(.mounting) func filesTheKernelMakesUpAreNeverStored() throws {
    #expect(FileSystemKind(path: "/proc/self") == .synthetic)
    #expect(FileSystemKind(path: "/sys") == .synthetic)
    #expect(FileSystemKind(type: 0x6969) == .remote && FileSystemKind(type: 0x794c_7630) == .layered)
    #expect(FileSystemKind(type: 0xef53) == .local && FileSystemKind(type: 1) == .layered)
  }
}
