import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// Giving a connection to the server behind, and telling the daemon why it had to be.
extension Server {
  /// Gives the connection to the server behind, with this segment as the first data of its new owner.
  @inline(never) func handOver(_ stored: Stored?, _ step: Step) -> Verdict {
    if let code = step.handoverCode {
      counters.countHandover(code)
      counters.count(.handovers)
      logHandover(code)
    }
    let behind = listener.pointee
    let result = Handover.give(
      packet, segment, connection, allowed: optionsAllowed, address: behind.backendAddress, port: behind.backendPort)
    if case .given = result {
      // Kept until the socket is seen: a full accept queue swallows the request, and the client sends it again. A
      // connection without an entry needs none: its cookie still speaks for it.
      stored?.pointee.state = ConnectionState.handedOver
      return .next
    }
    // The kernel resets it, as it does for any port nobody listens on.
    if case .noListener = result {
      counters.count(DropReason.noListener)
    } else {
      counters.count(DropReason.handoverRefused)
    }
    if stored != nil { Maps.connections.remove(segment.flow) }
    return .next
  }

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
    compose(scratch.missEvent, head, site: site)
    let isSent = Maps.events.send(UnsafeRawPointer(scratch.missEvent), length: MissEvent.byteCount)
    counters.count(isSent ? .missEvents : .missEventsLost)
  }

  @inline(__always) private func isMissAllowed(_ second: UInt64) -> Bool {
    if scratch.missSecond.pointee != second {
      scratch.missSecond.pointee = second
      scratch.missCount.pointee = 0
    }
    scratch.missCount.pointee = scratch.missCount.pointee &+ 1
    return scratch.missCount.pointee <= Limits.missEventsPerSecondMax
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
