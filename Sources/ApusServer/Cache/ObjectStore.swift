import Contract
import Synchronization

/// What the store says of itself. Sums since its start, but for the first three.
struct StoreStatistics: Sendable, Equatable {
  var objects = 0
  /// Bytes of the records of all objects.
  var bytes = 0
  /// Bytes of the arena that are in use or in quarantine, the unused ends of blocks among them.
  var arenaBytesUsed = 0
  /// Bytes of the arena.
  var budget: Int
  var insertions = 0
  /// Objects that had to leave for others.
  var evictions = 0
  /// Composed objects that were not stored.
  var refusals = 0
  /// Objects removed because of a change, or by a purge.
  var invalidations = 0
}

/// The right to store one object, if nothing it depends on changes meanwhile.
struct FillTicket: Sendable, Hashable {
  fileprivate(set) var number: UInt64
  fileprivate(set) var key: ObjectKey
}

/// The objects the kernel part answers from, in memory both halves share (`Contract/Object.swift`).
///
/// How an object comes in: `begin` gives a ticket; each name the answer depends on is added with `depend` before the
/// name is looked up; `commit` stores the object unless one of them was reported as changed, or the store purged,
/// since. Every method may be called from any thread; what `invalidate` and the `remove` methods take away is no
/// longer found by the kernel part when they return.
final class ObjectStore: Sendable {
  /// The hash of paths is seeded with this; the kernel part must use the same (`Control.pathSeed`).
  let pathSeed: UInt64
  private let state: Mutex<StoreState>
  private let sketch: FrequencySketch
  private let full = Atomic<Bool>(false)

  /// - Parameters:
  ///   - memory: index and arena; the index need not be empty. It must outlive the store.
  ///   - firstGeneration: even; what the kernel part has remembered from a store before must not fit by chance.
  ///   - clock_ns: CLOCK_MONOTONIC.
  init(
    memory: StoreMemory, pathSeed: UInt64, firstGeneration: UInt32 = UInt32.random(in: 1...UInt32.max / 4) * 2,
    retention_ns: UInt64 = RetiredRecords.retention_ns,
    clock_ns: @escaping @Sendable () -> UInt64 = MonotonicClock.now_ns
  ) {
    precondition(firstGeneration % 2 == 0 && firstGeneration > 0, "generations are even")
    self.pathSeed = pathSeed
    let sketch = FrequencySketch(width: memory.arenaByteCount / ArenaAllocator.blockBytesMin)
    self.sketch = sketch
    state = Mutex(
      StoreState(
        memory: memory, pathSeed: pathSeed, firstGeneration: firstGeneration, sketch: sketch,
        retention_ns: retention_ns, clock_ns: clock_ns))
  }

  private func change<Result, Failure: Error>(
    _ body: (inout StoreState) throws(Failure) -> sending Result
  ) throws(Failure) -> Result {
    try state.withLock { state throws(Failure) in
      defer { full.store(!state.hasRoom, ordering: .relaxed) }
      return try body(&state)
    }
  }

  // MARK: Filling

  /// Counts a miss; takes no lock that is held for long.
  ///
  /// - Returns: `false` when the store is full and the object too little asked for to be worth composing.
  func noteMiss(_ key: ObjectKey) -> Bool {
    sketch.add(key.hash(seed: pathSeed)) >= StoreState.Eviction.missesMin || !full.load(ordering: .relaxed)
  }

  func begin(_ key: ObjectKey) -> FillTicket {
    FillTicket(number: change { $0.begin(key) }, key: key)
  }

  /// Notes that the object of the ticket depends on a name.
  func depend(_ ticket: FillTicket, on dependency: NameDependency) {
    change { if $0.isAlive(fill: ticket.number) { $0.dependencies.add(ticket.number, on: dependency) } }
  }

  /// Stores the object.
  ///
  /// - Throws: the ticket is used up, but for `StoreRefusal.noRoomYet`.
  func commit(_ ticket: FillTicket, _ object: ComposedObject) throws(StoreRefusal) {
    do throws(StoreRefusal) {
      let record = try Record(object, for: ticket.key, hash: ticket.key.hash(seed: pathSeed))
      try change { state throws(StoreRefusal) in
        try state.commit(fill: ticket.number, record, isNegative: object.isNegative)
      }
    } catch {
      if case .noRoomYet = error { throw error }
      change { state in
        state.abandon(fill: ticket.number)
        state.statistics.refusals += 1
      }
      throw error
    }
  }

  /// Gives a ticket back unused.
  func abandon(_ ticket: FillTicket) { change { $0.abandon(fill: ticket.number) } }

  /// Stores an object that depends on nothing.
  func insert(_ object: ComposedObject, for key: ObjectKey) throws(StoreRefusal) {
    let ticket = begin(key)
    do throws(StoreRefusal) { try commit(ticket, object) } catch {
      abandon(ticket)
      throw error
    }
  }

  // MARK: Invalidation

  /// Something happened to a name of a directory; `nil`: to the directory itself, or to some name of it.
  /// Returns the number of objects removed, as all below do; tickets are dead too.
  @discardableResult
  func invalidate(directory: String, name: String?) -> Int {
    change { state in
      state.invalidate(state.dependents(of: NameDependency(directory: directory, name: name)))
    }
  }

  /// Removes what depends on a name that only looking at it again keeps true.
  @discardableResult
  func removeRevalidated() -> Int {
    change { state in
      let names = state.dependencies.names(.revalidated).dependencies
      return names.reduce(0) { count, name in count + state.invalidate(state.dependents(of: name)) }
    }
  }

  @discardableResult
  func remove(_ key: ObjectKey) -> Int { change { $0.remove(key) } }

  /// Removes the objects of a path on every site.
  @discardableResult
  func remove(path: [UInt8]) -> Int { change { $0.remove { $0.path == path } } }

  /// Removes the objects whose path begins so, on every site.
  @discardableResult
  func remove(pathPrefix: [UInt8]) -> Int { change { $0.remove { $0.path.starts(with: pathPrefix) } } }

  @discardableResult
  func removeAll() -> Int { change { $0.removeAll() } }

  // MARK: Dependencies

  func isUsed(directory: String) -> Bool { state.withLock { $0.dependencies.isUsed(directory: directory) } }

  /// Directories that may no longer be needed; each is told once.
  func takeUnusedDirectories() -> Set<String> { state.withLock { $0.dependencies.takeUnused() } }

  /// Notes what a name is now that something depends on. If it was something else before, what depends on it goes.
  func see(_ dependency: NameDependency, _ sighting: NameSighting, _ coverage: NameCoverage) {
    change { state in
      if !state.dependencies.see(dependency, sighting, coverage) {
        state.invalidate(state.dependents(of: dependency))
      }
    }
  }

  /// The next names of a sweep (`SweepList.piece`).
  func names(toSweep coverage: NameCoverage, before end: Int, count: Int) -> (entries: [SweepList.Entry], start: Int) {
    state.withLock { $0.dependencies.names(coverage).piece(before: end, count: count) }
  }

  func nameCount(_ coverage: NameCoverage) -> Int { state.withLock { $0.dependencies.names(coverage).count } }

  // MARK: Looking

  func contains(_ key: ObjectKey) -> Bool { state.withLock { $0.contains(key) } }

  /// Whether there is an object of the key, or a ticket for one.
  func isKnown(_ key: ObjectKey) -> Bool { state.withLock { $0.isKnown(key) } }

  /// CLOCK_MONOTONIC seconds of the last answer, or of storing it.
  func lastHit_s(_ key: ObjectKey) -> UInt32? {
    state.withLock { state in state.object(key).map { state.lastHit_s($0) } }
  }

  /// The object as it was stored, but for the end of its freshness.
  func read(_ key: ObjectKey) -> ComposedObject? {
    state.withLock { state in state.object(key).flatMap { Record.read(state.memory.arena + $0.offset) } }
  }

  var statistics: StoreStatistics {
    state.withLock { state in
      var statistics = state.statistics
      statistics.objects = state.objects.count
      statistics.arenaBytesUsed = state.allocator.usedBytes + state.allocator.quarantinedBytes
      return statistics
    }
  }
}
