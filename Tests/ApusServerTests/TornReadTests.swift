import Contract
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct TornReadTests {
  /// Each body says its number in every place, so that bytes of two objects in one answer are seen.
  private static func object(_ number: Int) -> ComposedObject {
    let line = "\(number)."
    return .sample(String(repeating: line, count: 400 + number % 1500), server: "s\(number)")
  }

  private static func isWhole(_ answer: KernelReader.Answer) -> Bool {
    let lines = answer.body.split(separator: UInt8(ascii: "."))
    guard let first = lines.first else { return false }
    return lines.allSatisfy { $0 == first }
      && String(decoding: answer.head, as: UTF8.self).contains("Server: s\(String(decoding: first, as: UTF8.self))\r\n")
      && answer.checksum == answer.expectedChecksum
  }

  /// A writer that replaces and removes objects as fast as it can in an arena so small that blocks are reused all the
  /// time, and a reader on another thread: what it accepts must be one object as it was stored.
  @Test func aReaderNeverAcceptsAMixtureOfObjects() {
    let test = TestMemory(arenaBytes: 1 << 20)
    // Old versions are not kept, so that readers are overtaken.
    let store = ObjectStore(memory: test.memory, pathSeed: 7, retention_ns: 0)
    let shared = Shared()
    let paths = (0..<16).map { "/\($0)" }
    let thread = DedicatedThread(name: "test-reader") {
      let reader = KernelReader(test: test, seed: 7, pause: { if Int.random(in: 0..<4) == 0 { usleep(300) } })
      while !shared.isDone.load(ordering: .acquiring) {
        let outcome =
          switch reader.read(paths.randomElement()!, variant: Int.random(in: 0..<4)) {
          case .none: "none"
          case .torn: "torn"
          case .answer(let answer): Self.isWhole(answer) ? "whole" : "mixed"
          }
        shared.counts.withLock { $0[outcome, default: 0] += 1 }
      }
    }
    let end_ns = MonotonicClock.now_ns() + 1_500_000_000
    var number = 0
    // Many times more than the arena holds at once.
    while MonotonicClock.now_ns() < end_ns || number < 1500 {
      number += 1
      let key = ObjectKey(paths.randomElement()!)
      if number % 5 == 0 { store.remove(key) } else { try? store.insert(Self.object(number), for: key) }
    }
    shared.isDone.store(true, ordering: .releasing)
    thread.join()
    let counts = shared.counts.withLock { $0 }
    #expect(counts["mixed"] == nil, "\(counts)")
    #expect(counts["torn", default: 0] > 0, "the reader must have been overtaken at times")
    #expect(counts["whole", default: 0] > 100, "the reader must have had something to judge")
    #expect(store.statistics.insertions > 500)
  }

  private final class Shared: Sendable {
    let isDone = Atomic<Bool>(false)
    let counts = Mutex<[String: Int]>([:])
  }
}
