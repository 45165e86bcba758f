import Dispatch
import Synchronization

/// Looks at names again, round after round, and removes what depends on one that is no longer what it was.
///
/// A thread of its own: a look may hang as long as a file system's server does not answer, and must not keep the
/// heartbeat waiting (`ChangeWatcher` removes what is not looked at in time).
final class Sweep: Sendable {
  enum Settings {
    /// From the start of a round to that of the next. A change is found after less than two rounds where nothing else
    /// tells (and `ChangeWatcher.Settings.looksAge_ns` bounds that), and after one and a bit where it is spread out.
    static func period_ns(_ coverage: NameCoverage) -> UInt64 {
      switch coverage {
      case .watched: 400_000_000
      case .revalidated: 250_000_000
      }
    }
    /// Looks a second at names that inotify covers: no more than 4 % of one CPU (1.7 us each). With more names the
    /// rounds take longer than the period.
    static let watchedLooksPerSecondMax = 20_000
    /// Names only looks cover: so many that a round takes no longer than this.
    static let revalidationRound_ns: UInt64 = 250_000_000
    /// And never more than these.
    static let revalidatedMax = 8192
    /// A look at a name of a local file system takes about this long.
    static let look_ns: UInt64 = 2000
    /// Names taken from the store under its lock at a time.
    static let piece = 64
  }

  let coverage: NameCoverage
  private let store: ObjectStore
  private let stopping = Atomic<Bool>(false)
  private let wakeUp = DispatchSemaphore(value: 0)
  private let complete_ns: Atomic<UInt64>
  private let hurry_ns = Atomic<UInt64>(0)
  /// The mean of a look of the last round.
  private let look_ns = Atomic<UInt64>(Settings.look_ns)
  private let thread = Mutex<DedicatedThread?>(nil)

  init(_ coverage: NameCoverage, of store: ObjectStore) {
    self.coverage = coverage
    self.store = store
    complete_ns = Atomic(MonotonicClock.now_ns())
  }

  func start() {
    complete_ns.store(MonotonicClock.now_ns(), ordering: .releasing)
    thread.withLock { thread in
      precondition(thread == nil, "a sweep is started once")
      thread = DedicatedThread(name: coverage == .watched ? "apus-sweep" : "apus-revalidate") { self.run() }
    }
  }

  /// Ends the thread, but does not wait longer than a moment for a look that hangs.
  func stop() {
    stopping.store(true, ordering: .releasing)
    wakeUp.signal()
    thread.withLock { thread in
      thread?.join(atMost_ms: 500)
      thread = nil
    }
  }

  /// CLOCK_MONOTONIC: every name has been looked at since then, and what was found to be changed is removed.
  var completeSince_ns: UInt64 { complete_ns.load(ordering: .acquiring) }

  /// Has a round begin now and run without pauses: something happened that no event tells.
  func hurry() {
    hurry_ns.store(MonotonicClock.now_ns(), ordering: .releasing)
    wakeUp.signal()
  }

  /// How many names can be looked at in time, by the time a look takes.
  var capacity: Int {
    min(Settings.revalidatedMax, Int(Settings.revalidationRound_ns / look_ns.load(ordering: .relaxed)))
  }

  private func run() {
    while !stopping.load(ordering: .acquiring) {
      let start_ns = MonotonicClock.now_ns()
      if round(from: start_ns) {
        complete_ns.store(start_ns, ordering: .releasing)
        wait(until_ns: start_ns + Settings.period_ns(coverage), from: start_ns)
      }
    }
  }

  /// One look at every name. Returns whether it came to its end.
  private func round(from start_ns: UInt64) -> Bool {
    var end = Int.max
    var count = 0
    var busy_ns: UInt64 = 0
    while true {
      let (piece, start) = store.names(toSweep: coverage, before: end, count: Settings.piece)
      if piece.isEmpty { break }
      let looked_ns = MonotonicClock.now_ns()
      for entry in piece {
        let now = NameSighting.look(at: entry.dependency, coverage)
        // After a look that hung the store may be gone.
        if stopping.load(ordering: .acquiring) { return false }
        if now != entry.sighting {
          store.invalidate(directory: entry.dependency.directory, name: entry.dependency.name)
        }
      }
      busy_ns += MonotonicClock.now_ns() - looked_ns
      count += piece.count
      end = start
      if hurry_ns.load(ordering: .acquiring) > start_ns { return false }
      if coverage == .watched, hurry_ns.load(ordering: .relaxed) < completeSince_ns {
        wait(
          until_ns: start_ns + UInt64(count) * 1_000_000_000 / UInt64(Settings.watchedLooksPerSecondMax), from: start_ns
        )
      }
    }
    // Without names there is nothing to measure, and what was slow may be fast again: that is tried little by little.
    let measured_ns = count > 0 ? busy_ns / UInt64(count) : look_ns.load(ordering: .relaxed) / 2
    look_ns.store(max(Settings.look_ns, measured_ns), ordering: .relaxed)
    return true
  }

  /// Waits, unless there is a hurry since the start of the round.
  private func wait(until_ns: UInt64, from start_ns: UInt64) {
    while !stopping.load(ordering: .acquiring), hurry_ns.load(ordering: .acquiring) <= start_ns {
      let now_ns = MonotonicClock.now_ns()
      if now_ns >= until_ns { return }
      _ = wakeUp.wait(timeout: .now() + .nanoseconds(Int(until_ns - now_ns)))
    }
  }
}
