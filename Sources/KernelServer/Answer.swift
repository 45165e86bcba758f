import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// Requests: answered from the object store, or handed over.
extension Server {
  /// A request at RCV.NXT with nothing of ours unacknowledged: the one moment at which both are possible.
  @inline(never) func serve(stored: Stored?) -> Verdict {
    if isDraining { return handOver(stored, .draining) }
    let now_ns = Clock.coarse_ns
    if !isFresh(now_ns) { return handOver(stored, .staleHeartbeat) }
    if segment.flags.has(TCPFlags.urg)
      || segment.headerLength != UInt16(TCPHeader.byteCount) &+ connection.options.byteCount
    {
      return handOver(stored, .segment)
    }
    if !isPayloadLoaded { return handOver(stored, .headTooLong) }
    let head = scratch.head
    if Int(segment.payloadLength) < HeadBuffer.lengthMin { return handOver(stored, .headIncomplete) }
    if !Phases.parseHead() { return handOver(stored, code: scratch.reason.pointee) }
    guard let site = site(of: head) else {
      reportMiss(head, site: .max)
      return handOver(stored, .hostUnknown)
    }
    scratch.site.pointee = site
    guard let record = Record(found: scratch) else {
      // No object has a query, and a flood of them must not use up the events of real misses.
      let reason = head.missReason
      if reason == .noObject { reportMiss(head, site: site) }
      return handOver(stored, reason)
    }
    let second = wallSecond(now_ns)
    let answer = Answer(record, variant: head.variant, isPersistent: head.isPersistent)
    if answer.headLength == 0 { return handOver(stored, .variant) }
    if answer.length > UInt32(connection.payloadMax) || answer.length > UInt32(Limits.responseBytesMax) {
      return handOver(stored, .segmentTooSmall)
    }
    if answer.length > connection.window(of: segment) { return handOver(stored, .windowTooSmall) }
    guard let date = Date(second) else { return handOver(stored, .date) }

    let closes = !answer.isPersistent || segment.flags.has(TCPFlags.fin)
    scratch.connection.pointee.answer(segment, responseLength: answer.length, closes: closes)
    scratch.connection.pointee.generation = record.generation
    scratch.connection.pointee.responseSecond = UInt32(truncatingIfNeeded: second)
    scratch.connection.pointee.source = scratch.objectUnit.pointee
    guard write(answer, date) else { return drop(.tornObject) }
    guard keep(stored) else { return drop(.full) }
    record.touch(UInt32(truncatingIfNeeded: now_ns / 1_000_000_000))
    counters.count(.hits)
    return packet.reflect()
  }

  /// The last request again: its answer was lost. The same bytes from the same version of the object, with the same
  /// Date, or the connection is reset: the client may hold a part of the other bytes.
  @inline(never) func repeatAnswer() -> Verdict {
    let head = scratch.head
    guard isPayloadLoaded else { return drop(.repeatedDiffers) }
    head.length = Int(connection.requestLength)
    let date = Date(UInt64(connection.responseSecond))
    guard Phases.parseHead() else { return drop(.repeatedDiffers) }
    // Not by its path: that may lead to another version by now. The store keeps the old one for a while.
    guard let date, let record = Record(unit: connection.source), record.generation == connection.generation else {
      Maps.connections.remove(segment.flow)
      return sendReset()
    }
    let answer = Answer(record, variant: head.variant, isPersistent: head.isPersistent)
    let closes: UInt32 = connection.state == ConnectionState.closing ? 1 : 0
    guard answer.length == connection.sendNext - connection.responseSequence &- closes,
      answer.length <= UInt32(Limits.responseBytesMax)
    else { return drop(.repeatedDiffers) }
    guard write(answer, date) else { return drop(.tornObject) }
    counters.count(.retransmissions)
    return packet.reflect()
  }

  /// Turns the packet into the response: headers, response head with its Date, body. False: the packet or the
  /// object changed under our hands, and the packet is spoilt.
  @inline(__always) private func write(_ answer: Answer, _ date: Date) -> Bool {
    var reply = connection.reply(
      sequence: connection.responseSequence, acknowledgement: connection.receiveNext,
      flags: TCPFlags.ack | TCPFlags.psh | (connection.state == ConnectionState.closing ? TCPFlags.fin : 0))
    reply.payloadLength = UInt16(truncatingIfNeeded: answer.length)
    var sum = Checksum(UInt64(answer.headChecksum))
    sum.add(answer.bodyChecksum, atOdd: answer.headLength & 1 != 0)
    if answer.dateOffset != 0 { sum.add(date.checksum, atOdd: answer.dateOffset & 1 != 0) }
    reply.payloadSum = sum.folded
    scratch.headLength.set(answer.headLength)
    scratch.bodyLength.set(answer.bodyLength)
    guard Reply.turnAround(packet, headers: scratch.headers),
      reply.write(to: packet, for: segment, headers: scratch.headers)
    else { return false }
    let start = UInt32(reply.headersByteCount)
    let headLength = scratch.headLength.bounded(by: Self.copyBytesMax)
    let record = UnsafeRawPointer(answer.record.base)
    guard packet.store(start, from: record + answer.headOffset, length: headLength) else { return false }
    if answer.bodyLength != 0 {
      let bodyLength = scratch.bodyLength.bounded(by: Self.copyBytesMax)
      guard packet.store(start &+ headLength, from: record + answer.bodyOffset, length: bodyLength) else {
        return false
      }
    }
    if answer.dateOffset != 0 {
      let offset = start &+ UInt32(answer.dateOffset)
      guard packet.store(offset, from: date.text, length: UInt32(DateEntry.textLength)) else { return false }
    }
    return answer.record.currentGeneration == answer.record.generation
  }

  /// A power of two not less than `Limits.responseBytesMax`, which whole answers have been held against.
  private static var copyBytesMax: UInt32 { 16_384 }

  /// The site a request is for. `nil`: its Host is not known here.
  @inline(__always) private func site(of head: HeadBuffer) -> UInt16? {
    if listener.pointee.flags & Listener.siteByHost == 0 { return listener.pointee.defaultSite }
    let key = scratch.hostKey
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

/// What a record says to one kind of request, read once: the record may change at any time.
struct Answer {
  let record: Record
  let isPersistent: Bool
  let headOffset: Int
  let headLength: UInt16
  let dateOffset: UInt16
  let headChecksum: UInt16
  let bodyOffset: Int
  let bodyLength: UInt16
  let bodyChecksum: UInt16

  @inline(__always) init(_ record: Record, variant index: Int, isPersistent: Bool) {
    let variant = record.variant(index)
    self.record = record
    self.isPersistent = isPersistent
    headOffset = variant.headOffset
    headLength = variant.headLength
    dateOffset = variant.dateOffset
    headChecksum = variant.checksum
    bodyOffset = record.bodyOffset
    bodyLength = record.bodyLength
    bodyChecksum = record.bodyChecksum
  }

  @inline(__always) var length: UInt32 { UInt32(headLength) &+ UInt32(bodyLength) }
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
