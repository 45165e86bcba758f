import Glibc
import Synchronization

/// What the thread that has just drained the file-change events does before and with its heartbeat: all that could
/// become untrue while the heartbeat lasts is taken out of the store first.
final class Heartbeat: Sendable {
  /// A wall clock that moves by more than this against the monotonic one was set: what was aged by it starts afresh.
  private static let clockStep_ns: Int64 = 500_000_000

  private struct State {
    var realtimeOffset_ns: Int64?
    var renewals: [ObjectRequest] = []
  }

  private let store: ObjectStore
  private let expiry: ExpirySchedule
  private let realtimeOffset_ns: @Sendable () -> Int64
  private let write: @Sendable (_ drained_ns: UInt64) -> Void
  private let state = Mutex(State())

  /// - Parameters:
  ///   - realtimeOffset_ns: CLOCK_REALTIME less CLOCK_MONOTONIC.
  ///   - write: writes the heartbeat of that time.
  init(
    store: ObjectStore, expiry: ExpirySchedule,
    realtimeOffset_ns: @escaping @Sendable () -> Int64 = Heartbeat.currentOffset_ns,
    write: @escaping @Sendable (_ drained_ns: UInt64) -> Void
  ) {
    self.store = store
    self.expiry = expiry
    self.realtimeOffset_ns = realtimeOffset_ns
    self.write = write
  }

  static func currentOffset_ns() -> Int64 {
    var real = timespec()
    clock_gettime(CLOCK_REALTIME, &real)
    return Int64(real.tv_sec) * 1_000_000_000 + Int64(real.tv_nsec) - Int64(MonotonicClock.now_ns())
  }

  /// - Parameter drained_ns: CLOCK_MONOTONIC; all changes of files up to then are in the store.
  func beat(_ drained_ns: UInt64) {
    let renewals = expiry.advance(to: drained_ns)
    let offset_ns = realtimeOffset_ns()
    let isSet = state.withLock { state in
      state.renewals += renewals
      defer { state.realtimeOffset_ns = offset_ns }
      return state.realtimeOffset_ns.map { abs($0 - offset_ns) > Self.clockStep_ns } ?? false
    }
    // Age counts by the wall clock, as Date does.
    if isSet, expiry.count > 0 { store.removeAll() }
    write(drained_ns)
  }

  /// Objects worth being asked for anew; each is told once.
  func takeRenewals() -> [ObjectRequest] {
    state.withLock { state in
      defer { state.renewals = [] }
      return state.renewals
    }
  }
}
