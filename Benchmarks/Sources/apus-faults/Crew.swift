import Foundation
import Synchronization
import TestSupport

/// Threads that do the same in a namespace, and what each of them came to.
final class Crew<Result: Sendable>: Sendable {
  private let results = Mutex<[Result]>([])
  private let group = DispatchGroup()

  /// - Parameter body: called on each thread with its number.
  init(_ count: Int, in namespace: NetworkNamespace, _ body: @escaping @Sendable (Int) -> Result) throws {
    // A thread begins in the namespace of the thread that starts it (clone(2)).
    try namespace.withThread { [self] in
      for number in 0..<count {
        group.enter()
        let thread = Thread { [self] in
          let result = body(number)
          results.withLock { $0.append(result) }
          group.leave()
        }
        thread.start()
      }
    }
  }

  /// Waits for all threads to end.
  func wait() -> [Result] {
    group.wait()
    return results.withLock { $0 }
  }
}

/// A signal to threads to end.
final class StopFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
