import Contract
import Synchronization

/// When stored objects stop being fresh. The thread that writes the heartbeat removes them before that, as it does with
/// objects whose files have changed: a fresh heartbeat says that nothing the kernel part finds can go stale while it
/// lasts.
final class ExpirySchedule: Sendable {
  enum Settings {
    /// An object is removed this long before its end: so long the kernel part goes on with the last heartbeat.
    static let margin_ns = Limits.heartbeatAge_ns_max
    /// An object that is asked for is renewed this long before it would be removed, or a tenth of its time, if that
    /// is longer.
    static let renewal_ns: UInt64 = 2_000_000_000
    /// A renewal that came to nothing is tried again after this time.
    static let retry_ns: UInt64 = 1_000_000_000
    /// Entries of objects that have left the store are looked for when there are more than this and twice the objects.
    static let entriesMin = 1024
  }

  private struct Entry {
    var request: ObjectRequest
    var stored_ns: UInt64
    var expires_ns: UInt64
    var renewal_ns: UInt64
  }

  private struct State {
    var entries: [ObjectKey: Entry] = [:]
    /// No entry needs anything done before this time.
    var next_ns = UInt64.max
    var sweepCount = Settings.entriesMin
  }

  private let store: ObjectStore
  private let state = Mutex(State())

  init(store: ObjectStore) { self.store = store }

  /// Notes the end of an object that is about to be stored, so that it never is without one. An older object of the
  /// same key is still there and keeps its own end, if that is earlier: storing the new one may yet fail.
  func prepare(_ request: ObjectRequest, expires_ns: UInt64?, now_ns: UInt64 = MonotonicClock.now_ns()) {
    guard let expires_ns else { return }
    state.withLock { state in
      let end_ns = min(expires_ns, state.entries[request.key]?.expires_ns ?? .max)
      set(request, end_ns, now_ns, &state)
    }
  }

  /// The object is stored, in the place of any older one; `nil`: it has no end.
  func confirm(_ request: ObjectRequest, expires_ns: UInt64?, now_ns: UInt64 = MonotonicClock.now_ns()) {
    state.withLock { state in
      guard let expires_ns else {
        state.entries.removeValue(forKey: request.key)
        return
      }
      // No entry any more: it ended meanwhile, and the object was removed with it.
      guard state.entries[request.key] != nil else { return }
      set(request, expires_ns, now_ns, &state)
    }
  }

  private func set(_ request: ObjectRequest, _ expires_ns: UInt64, _ now_ns: UInt64, _ state: inout State) {
    let usable_ns = max(Int64(bitPattern: expires_ns &- now_ns) - Int64(Settings.margin_ns), 0)
    let ahead_ns = max(Settings.renewal_ns, UInt64(usable_ns) / 10)
    let entry = Entry(
      request: request, stored_ns: now_ns, expires_ns: expires_ns,
      renewal_ns: max(now_ns, expires_ns - min(expires_ns, Settings.margin_ns + ahead_ns)))
    state.entries[request.key] = entry
    state.next_ns = min(state.next_ns, Self.next(entry))
    sweep(&state)
  }

  /// When something is to be done about it next.
  private static func next(_ entry: Entry) -> UInt64 {
    min(entry.renewal_ns, entry.expires_ns - min(entry.expires_ns, Settings.margin_ns))
  }

  /// Removes what must not be answered any more once a heartbeat of this time is old.
  ///
  /// - Returns: the objects that were asked for since they were stored, and are worth being asked for anew.
  func advance(to now_ns: UInt64) -> [ObjectRequest] {
    state.withLock { state in
      guard now_ns >= state.next_ns else { return [] }
      var renewals: [ObjectRequest] = []
      var next_ns = UInt64.max
      for (key, entry) in state.entries {
        var entry = entry
        if entry.expires_ns <= now_ns + Settings.margin_ns {
          store.remove(key)
          state.entries.removeValue(forKey: key)
          continue
        }
        if entry.renewal_ns <= now_ns {
          // Before it is asked for there is nothing to renew; the look is repeated.
          entry.renewal_ns = now_ns + Settings.retry_ns
          state.entries[key] = entry
          if wasHit(key, since_ns: entry.stored_ns) { renewals.append(entry.request) }
        }
        next_ns = min(next_ns, Self.next(entry))
      }
      state.next_ns = next_ns
      return renewals
    }
  }

  private func wasHit(_ key: ObjectKey, since_ns: UInt64) -> Bool {
    guard let hit_s = store.lastHit_s(key) else { return false }
    return UInt64(hit_s) > since_ns / 1_000_000_000
  }

  private func sweep(_ state: inout State) {
    guard state.entries.count > state.sweepCount else { return }
    state.entries = state.entries.filter { store.isKnown($0.key) }
    state.sweepCount = max(Settings.entriesMin, 2 * state.entries.count)
  }

  var count: Int { state.withLock { $0.entries.count } }
}
