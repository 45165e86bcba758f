import Synchronization

/// Lets an object be asked for only when clients ask for it again: its second miss within a while. A server behind is
/// not to be bothered for what one client wants once.
///
/// The kernel part tells a miss of one object once a second, so that requests of one second count as one.
final class Admission: Sendable {
  private struct State {
    var seen_ns: [ObjectKey: UInt64] = [:]
  }

  private let window_ns: UInt64
  private let entriesMax: Int
  private let state = Mutex(State())

  init(window_ns: UInt64 = 10_000_000_000, entriesMax: Int = 16_384) {
    self.window_ns = window_ns
    self.entriesMax = entriesMax
  }

  /// Notes a miss. Returns whether there was another one of the object within the window before it.
  func admits(_ key: ObjectKey, now_ns: UInt64 = MonotonicClock.now_ns()) -> Bool {
    state.withLock { state in
      let last_ns = state.seen_ns[key]
      if last_ns == nil, state.seen_ns.count >= entriesMax {
        state.seen_ns = state.seen_ns.filter { $0.value + window_ns >= now_ns }
        // A flood of objects: who is asked for again is asked for once more.
        if state.seen_ns.count >= entriesMax { state.seen_ns = [:] }
      }
      state.seen_ns[key] = now_ns
      return last_ns.map { $0 + window_ns >= now_ns } ?? false
    }
  }
}
