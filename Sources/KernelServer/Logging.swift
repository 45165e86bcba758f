import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// The access log: what was asked for and what became of it, told to the daemon, which writes it down. With the log
/// off it costs a look at the control block.
extension Server {
  /// Tells of an answer: once for a request, when its connection remembers the answer and it is counted.
  @inline(__always) func logHit() {
    if control.pointee.accessLog & AccessLogSwitch.hits == 0 { return }
    memory.accessEvent.put32(UInt32(AccessEvent.hit), 0)
    log()
  }

  /// Tells of a request that is handed over, whatever can be known of it.
  @inline(__always) func logHandover(_ code: UInt32) {
    if control.pointee.accessLog & AccessLogSwitch.handovers == 0 || segment.payloadLength == 0 { return }
    if !isPayloadLoaded {
      let length = UInt16(truncatingIfNeeded: Limits.headBytesMax)
      guard packet.load(segment.payloadOffset, to: memory.head.base, length: UInt32(length)) else { return }
      memory.payloadLength.set(length)
    }
    memory.accessEvent.put32(UInt32(AccessEvent.handover) | code &<< 16, 0)
    memory.accessEvent.put32(0, AccessEvent.statusOffset)
    log()
  }

  @inline(__always) private func log() {
    if !Phases.sendAccessEvent() { counters.count(.accessEventsLost) }
  }

  /// Keeps the status of the answer that is being chosen, as long as its record is known to be whole.
  @inline(__always) func noteStatus(of answer: Answer) {
    let head = UnsafeRawPointer(answer.record.base) + answer.headOffset
    memory.accessEvent.put32(head.word32(AccessEvent.statusPosition), AccessEvent.statusOffset)
  }
}

extension Phases {
  /// Sends the event in the scratch memory, whose kind and status are there already. False: the ring is full.
  @inline(__always) static func sendAccessEvent() -> Bool { sendScratchAccessEvent() != 0 }
}

/// 1 if the event is sent. The reader is woken only if it has read everything before: it waits a little before it
/// reads, so under load there is no waking for each request.
@used @inline(never) public func sendScratchAccessEvent() -> UInt32 {
  guard let memory = SocketMemory.current, let control = Maps.control else { return 0 }
  let event = memory.accessEvent
  let flow = memory.segment.pointee.flow
  event.put16(memory.payloadLength.stored, 4)
  event.put16(flow.remotePort, 6)
  event.put64(Clock.coarse_ns &+ UInt64(bitPattern: control.pointee.realtimeOffset_ns), AccessEvent.timeOffset)
  let part = memory.part.pointee
  event.put32(part.responseLength &- UInt32(memory.headLength.stored), AccessEvent.bodyBytesOffset)
  flow.remoteAddress.emit(to: event + AccessEvent.addressOffset)
  // The request lies behind the event, where it was copied to in order to be read.
  let length = UInt32(AccessEvent.byteCount) &+ memory.payloadLength.bounded(by: UInt32(Limits.headBytesMax))
  return Maps.accessEvents.send(UnsafeRawPointer(event), length: Int(length)) ? 1 : 0
}
