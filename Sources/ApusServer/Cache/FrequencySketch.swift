import Synchronization

/// Estimates how often each key was asked for lately, in fixed memory: a count-min sketch with aging, as TinyLFU
/// has it (Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", 2017).
///
/// Four rows of counters up to 15; an addition raises only the smallest of a key's four ("conservative update"); after
/// `additionsPerCounter` additions for each counter of a row all are halved, so that what was popular long ago fades.
/// It has a lock of its own, held for nanoseconds: counting a miss waits for no work on the store.
final class FrequencySketch: Sendable {
  static let rowCount = 4
  static let counterMax: UInt8 = 15
  static let additionsPerCounter = 8

  private struct State: Sendable {
    var counters: [UInt8]
    var additions = 0
  }
  private let state: Mutex<State>
  private let width: Int

  /// - Parameter width: counters a row, rounded up to a power of two; at least the number of keys of interest.
  ///   It takes four bytes for each.
  init(width: Int) {
    self.width = max(width, 1024).nextPowerOfTwo
    state = Mutex(State(counters: Array(repeating: 0, count: self.width * Self.rowCount)))
  }

  /// Counts one occurrence; returns the estimate including it.
  @discardableResult
  func add(_ hash: UInt64) -> Int {
    state.withLock { state in
      let smallest = estimate(hash, state)
      if smallest < Self.counterMax {
        for row in 0..<Self.rowCount where state.counters[place(hash, row)] == smallest {
          state.counters[place(hash, row)] += 1
        }
      }
      state.additions += 1
      if state.additions >= width * Self.additionsPerCounter {
        state.additions /= 2
        for index in state.counters.indices { state.counters[index] /= 2 }
        return Int(smallest + 1) / 2
      }
      return Int(min(smallest + 1, Self.counterMax))
    }
  }

  /// How often the key was counted lately; may be too high, never too low but for aging.
  func estimate(_ hash: UInt64) -> Int {
    state.withLock { Int(estimate(hash, $0)) }
  }

  private func estimate(_ hash: UInt64, _ state: State) -> UInt8 {
    var smallest = Self.counterMax
    for row in 0..<Self.rowCount { smallest = min(smallest, state.counters[place(hash, row)]) }
    return smallest
  }

  /// Where a key's counter is in a row: double hashing with the two halves of a hash that is well mixed already.
  private func place(_ hash: UInt64, _ row: Int) -> Int {
    let step = hash >> 32 | 1
    return row * width + Int(truncatingIfNeeded: hash &+ UInt64(row) &* step) & (width - 1)
  }
}

extension Int {
  /// The smallest power of two that is not smaller; `self` must be positive.
  var nextPowerOfTwo: Int { 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
