import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// Requests: answered from the object store, or handed over.
extension Server {
  /// A request at RCV.NXT with nothing of ours unacknowledged: the one moment at which both are possible.
  @inline(never) func receive() -> Step {
    if isDraining { return .handOver(.draining) }
    let now_ns = Clock.coarse_ns
    if !isFresh(now_ns) { return .handOver(.staleHeartbeat) }
    if !isSegmentPlain { return .handOver(.segment) }
    if !isPayloadLoaded { return .handOver(.headTooLong) }
    let head = memory.head
    head.length = Int(segment.payloadLength)
    if Int(segment.payloadLength) < HeadBuffer.lengthMin { return .handOver(.headIncomplete) }
    if !Phases.parseHead() { return .handOver(code: memory.reason.pointee) }
    guard let site = site(of: head) else {
      reportMiss(head, site: .max)
      return .handOver(.hostUnknown)
    }
    memory.site.pointee = site
    guard let record = Record(found: memory) else {
      // No object has a query, and a flood of them must not use up the events of real misses.
      let reason = head.missReason
      if reason == .noObject { reportMiss(head, site: site) }
      return .handOver(reason)
    }
    guard let form = Selection.form(of: record, for: memory) else { return .handOver(code: memory.reason.pointee) }
    return begin(Answer(record, form: form), form: form, now_ns)
  }

  /// Answers, if the whole response may be sent at once.
  @inline(__always) private func begin(_ answer: Answer, form: UInt16, _ now_ns: UInt64) -> Step {
    if let reason = obstacle(to: answer) { return .handOver(reason) }
    let second = wallSecond(now_ns)
    if Date(second) == nil { return .handOver(.date) }
    let closes = !memory.head.isPersistent || segment.flags.has(TCPFlags.fin)
    let place = memory.connection
    place.pointee.source = memory.objectUnit.pointee
    place.pointee.generation = answer.record.generation
    place.pointee.form = form
    place.pointee.responseSecond = UInt32(truncatingIfNeeded: second)
    noteStatus(of: answer)
    answer.record.touch(UInt32(truncatingIfNeeded: now_ns / 1_000_000_000))
    return beginResponse(length: answer.length, closes: closes)
  }

  /// Why the response cannot be sent at once, and so not from here.
  @inline(__always) private func obstacle(to answer: Answer) -> HandoverReason? {
    if answer.length > UInt32(Limits.responseBytesMax) { return .responseTooLong }
    if answer.length > connection.window(of: segment) { return .windowTooSmall }
    if answer.length <= UInt32(connection.payloadMax) { return nil }
    // The first segment has the whole head and some of the body.
    if UInt32(answer.headLength) &+ 4 > UInt32(connection.payloadMax) { return .segmentTooSmall }
    return answer.length > connection.burstMax ? .congestionWindow : nil
  }

  /// Not by its path: that may lead to another version by now. The store keeps the old one for a while.
  @inline(__always) func canRepeat() -> Bool {
    guard Date(UInt64(connection.responseSecond)) != nil, let record = Record(unit: connection.source) else {
      return false
    }
    return record.generation == connection.generation
  }

  /// The site a request is for. `nil`: its Host is not known here.
  @inline(__always) private func site(of head: HeadBuffer) -> UInt16? {
    if listener.pointee.flags & Listener.siteByHost == 0 { return listener.pointee.defaultSite }
    let key = memory.hostKey
    let host = UnsafeRawPointer(head.base) + (head.hostOffset & (Limits.headBytesMax &- 1))
    let length = head.hostLength
    for word in 0..<8 {
      let left = length &- word &* 8
      let mask: UInt64 = left >= 8 ? ~0 : (left <= 0 ? 0 : (1 &<< UInt64((left & 7) &* 8)) &- 1)
      key.put64(host.word64(word &* 8) & mask, word &* 8)
    }
    guard let site = Maps.sites.value(at: key) else { return nil }
    return UInt16(truncatingIfNeeded: site.pointee)
  }

  @inline(__always) private func wallSecond(_ now_ns: UInt64) -> UInt64 {
    UInt64(bitPattern: Int64(bitPattern: now_ns) &+ control.pointee.realtimeOffset_ns) / 1_000_000_000
  }
}

/// The text of one second's Date.
struct Date {
  let text: UnsafeRawPointer
  let checksum: UInt16

  /// `nil`: the daemon has not written it, or it has been overwritten since.
  @inline(__always) init?(_ second: UInt64) {
    let index = UInt32(truncatingIfNeeded: second) & UInt32(Limits.datesKept_s &- 1)
    guard let entry = Maps.dates[index], entry.pointee.second == second else { return nil }
    text = UnsafeRawPointer(entry) + DateEntry.textOffset
    checksum = UInt16(truncatingIfNeeded: entry.pointee.checksum)
  }
}
