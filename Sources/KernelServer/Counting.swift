import Contract

/// This CPU's counters: every answer, every hand-over and every drop has one, so that nothing is silent.
struct Counters {
  let base: UnsafeMutableRawPointer
  @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @inline(__always) func count(_ counter: Counter) { add(Int(counter.rawValue)) }
  @inline(__always) func count(code: UInt32) { add(Int(code & UInt32(Counter.count &- 1))) }
  @inline(__always) func countHandover(_ code: UInt32) {
    add(CounterLayout.handovers &+ Int(code & UInt32(HandoverReason.count &- 1)))
  }
  @inline(__always) func count(_ reason: DropReason) { add(CounterLayout.drops &+ Int(reason.rawValue)) }

  @inline(__always) private func add(_ index: Int) {
    let word = (base + (index & 63) &* 8).assumingMemoryBound(to: UInt64.self)
    word.pointee = word.pointee &+ 1
  }
}
