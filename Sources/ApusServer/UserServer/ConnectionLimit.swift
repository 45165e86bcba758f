import Synchronization

/// Counts the connections of all listeners. At the limit listeners stop accepting: what comes waits in the accept
/// queue, where it costs no descriptor.
final class ConnectionLimit: Sendable {
  let countMax: Int
  private let count = Atomic<Int>(0)
  private let waiting = Mutex<[@Sendable () -> Void]>([])

  init(countMax: Int) { self.countMax = countMax }

  var connections: Int { count.load(ordering: .relaxed) }
  var isReached: Bool { connections >= countMax }

  func acquire() { count.wrappingAdd(1, ordering: .relaxed) }

  func release() {
    let left = count.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
    guard left == countMax - 1 || left == 0 else { return }
    let resumed = waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
    for resume in resumed { resume() }
  }

  /// Calls `resume` once there is room, perhaps at once.
  func whenBelow(_ resume: @escaping @Sendable () -> Void) {
    waiting.withLock { $0.append(resume) }
    // The last release may have been before `resume` was in the list.
    guard !isReached else { return }
    let resumed = waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
    for resume in resumed { resume() }
  }
}
