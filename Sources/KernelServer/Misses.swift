import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// Telling the daemon what is missing.
extension Server {
  /// Tells the daemon what was asked for and is not in the store: once a second for the same object, and not more
  /// often than `Limits.missEventsPerSecondMax` in all.
  @inline(__always) func reportMiss(_ head: HeadBuffer, site: UInt16) {
    let second = Clock.coarse_ns / 1_000_000_000
    var path = PathHash(seed: head.pathHash, site: site)
    let hash = path.finish(length: head.pathLength)
    let place = UInt32(truncatingIfNeeded: hash >> 40) & UInt32(Limits.missFilterEntries &- 1)
    guard let seen = Maps.missFilter[place] else { return }
    if seen.pointee == hash ^ second || !isMissAllowed(second) {
      counters.count(.missEventsSuppressed)
      return
    }
    seen.pointee = hash ^ second
    compose(memory.missEvent, head, site: site)
    let isSent = Maps.events.send(UnsafeRawPointer(memory.missEvent), length: MissEvent.byteCount)
    counters.count(isSent ? .missEvents : .missEventsLost)
  }

  @inline(__always) private func isMissAllowed(_ second: UInt64) -> Bool {
    if memory.missSecond.pointee != second {
      memory.missSecond.pointee = second
      memory.missCount.pointee = 0
    }
    memory.missCount.pointee = memory.missCount.pointee &+ 1
    return memory.missCount.pointee <= Limits.missEventsPerSecondMax
  }

  /// A `MissEvent`: the header, then more than the whole host and path; the lengths say what counts.
  @inline(__always)
  private func compose(_ event: UnsafeMutableRawPointer, _ head: HeadBuffer, site: UInt16) {
    event.put16(EventKind.miss, 0)
    event.put16(site, 2)
    event.put16(UInt16(truncatingIfNeeded: head.hostLength), 4)
    event.put16(UInt16(truncatingIfNeeded: head.pathLength), 6)
    event.put64(0, 8)
    let host = UnsafeRawPointer(head.base) + (head.hostOffset & (Limits.headBytesMax &- 1))
    for word in 0..<8 { event.put64(host.word64(word &* 8), MissEvent.hostOffset &+ word &* 8) }
    let path = head.path
    for word in 0..<32 { event.put64(path.word64(word &* 8), MissEvent.pathOffset &+ word &* 8) }
  }
}

extension HeadBuffer {
  /// Why there is no object for this path: a query, or it is just not in the store.
  @inline(__always) var missReason: HandoverReason { hasQuery ? .query : .noObject }
}
