import Contract
import KernelSockets

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

/// What the library counts, in Apus's counters and in the access log.
extension Server {
  @inline(__always) func countHandover(_ reason: UInt32) {
    counters.countHandover(reason)
    logHandover(reason)
  }

  @inline(__always) func count(_ event: SocketEvent) {
    switch event {
    case .answer:
      counters.count(.hits)
      if Form(rawValue: connection.form).isNotModified { counters.count(.notModified) }
      logHit()
    case .retransmission: counters.count(.retransmissions)
    case .segment: counters.count(.segments)
    case .handshake: counters.count(.handshakes)
    case .acknowledgement: counters.count(.acknowledgements)
    case .challenge: counters.count(.challenges)
    case .reset: counters.count(.resets)
    case .finish: counters.count(.finishes)
    case .handover: counters.count(.handovers)
    case .leftToKernel: counters.count(.leftToKernel)
    case .droppedHandshakeAcknowledgement: counters.count(.handshakeAcknowledgement)
    case .droppedAcknowledgement: counters.count(DropReason.acknowledgement)
    case .droppedChecksum: counters.count(.checksum)
    case .droppedOutOfOrder: counters.count(.outOfOrder)
    case .droppedUnacknowledged: counters.count(.unacknowledged)
    case .droppedNotYetAccepted: counters.count(.notYetAccepted)
    case .droppedTorn: counters.count(.tornObject)
    case .droppedReset: counters.count(DropReason.reset)
    case .droppedFull: counters.count(.full)
    case .droppedPacket: counters.count(.packet)
    case .droppedUntimely: counters.count(.untimely)
    case .noListener: counters.count(.noListener)
    case .handoverRefused: counters.count(.handoverRefused)
    }
  }
}
