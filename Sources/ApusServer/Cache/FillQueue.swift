import Dispatch
import Synchronization

/// One object to be composed.
struct Fill: Sendable {
  var request: ObjectRequest
  /// Tries before this one.
  var attempts = 0
  /// The object is stored, and is to be asked for anew before its end.
  var isRenewal = false
}

/// What waits to be composed, what is tried again later, and what was refused moments ago; all of it bounded.
///
/// A key is in it at most once. `offer` never waits for anything but a short lock.
final class FillQueue: Sendable {
  enum Offer: Equatable { case taken, alreadyKnown, refusedRecently, full }

  private struct State {
    var waiting: [Fill] = []
    var delayed: [(due_ns: UInt64, fill: Fill)] = []
    /// Keys that wait, are delayed or being composed.
    var known: Set<ObjectKey> = []
    var refusedUntil_ns: [ObjectKey: UInt64] = [:]
    var isStopped = false
  }

  private let state = Mutex(State())
  private let wakeUp = DispatchSemaphore(value: 0)
  private let limits: FillerLimits
  private let clock_ns: @Sendable () -> UInt64

  init(limits: FillerLimits, clock_ns: @escaping @Sendable () -> UInt64 = MonotonicClock.now_ns) {
    self.limits = limits
    self.clock_ns = clock_ns
  }

  func offer(_ request: ObjectRequest, isRenewal: Bool = false) -> Offer {
    let now_ns = clock_ns()
    let offer: Offer = state.withLock { state in
      if state.known.contains(request.key) { return .alreadyKnown }
      if let until_ns = state.refusedUntil_ns[request.key] {
        if now_ns < until_ns { return .refusedRecently }
        state.refusedUntil_ns.removeValue(forKey: request.key)
      }
      if state.isStopped || state.waiting.count >= limits.waitingMax { return .full }
      state.known.insert(request.key)
      state.waiting.append(Fill(request: request, isRenewal: isRenewal))
      return .taken
    }
    if offer == .taken { wakeUp.signal() }
    return offer
  }

  /// The next fill, as soon as there is one; `nil` after `stop`.
  func next() -> Fill? {
    while true {
      let now_ns = clock_ns()
      let (fill, due_ns, isStopped): (Fill?, UInt64?, Bool) = state.withLock { state in
        if state.isStopped { return (nil, nil, true) }
        // Those that are due go first: they have waited longest.
        if let index = state.delayed.firstIndex(where: { $0.due_ns <= now_ns }) {
          return (state.delayed.remove(at: index).fill, nil, false)
        }
        if !state.waiting.isEmpty { return (state.waiting.removeFirst(), nil, false) }
        return (nil, state.delayed.map(\.due_ns).min(), false)
      }
      if isStopped { return nil }
      if let fill { return fill }
      if let due_ns {
        _ = wakeUp.wait(timeout: .now() + .nanoseconds(Int(due_ns - now_ns)))
      } else {
        wakeUp.wait()
      }
    }
  }

  /// The fill is over: stored, or of no more interest.
  func finish(_ fill: Fill) {
    state.withLock { _ = $0.known.remove(fill.request.key) }
  }

  /// The fill is refused: its key is not taken again for a while.
  func refuse(_ fill: Fill) {
    let now_ns = clock_ns()
    state.withLock { state in
      state.known.remove(fill.request.key)
      if state.refusedUntil_ns.count >= limits.refusedMax {
        state.refusedUntil_ns = state.refusedUntil_ns.filter { $0.value > now_ns }
        // Still full: forgetting all of them costs no more than asking once more for each.
        if state.refusedUntil_ns.count >= limits.refusedMax { state.refusedUntil_ns = [:] }
      }
      state.refusedUntil_ns[fill.request.key] = now_ns + UInt64(limits.refused_ms) * 1_000_000
    }
  }

  /// Tries the fill again later. Returns whether it will be: not after too many tries, nor when too many wait so.
  func retry(_ fill: Fill, after_ms: Int) -> Bool {
    let due_ns = clock_ns() + UInt64(max(1, after_ms)) * 1_000_000
    return state.withLock { state in
      guard fill.attempts + 1 < limits.attemptsMax, state.delayed.count < limits.delayedMax else { return false }
      var again = fill
      again.attempts += 1
      state.delayed.append((due_ns, again))
      return true
    }
  }

  /// What is refused now may be asked for again at once.
  func forgetRefusals() { state.withLock { $0.refusedUntil_ns = [:] } }

  /// Makes `next` return `nil` from now on, for so many threads that may be waiting.
  func stop(threads: Int = 1) {
    state.withLock { $0.isStopped = true }
    for _ in 0..<threads { wakeUp.signal() }
  }
}
