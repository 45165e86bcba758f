import KernelTestSupport

/// Responses of several segments.
extension Runner {
  /// Segments that follow each other, and the last byte of the last one once more: a probe that a receiver answers at
  /// once (RFC 8985 section 7). As long as the response is not acknowledged they acknowledge nothing of the request, so
  /// that the client's timer runs on.
  mutating func expect(_ burst: Burst) throws {
    var next = received.next
    if burst.path != nil {
      received.message = next
      received.segments = []
    } else {
      next = received.segments[burst.again - 1].lowerBound
    }
    var bytes: [UInt8] = []
    for number in 1...burst.segments {
      let isLast = burst.path == nil ? burst.again == received.segments.count : number == burst.segments
      let segment = try expectPart(burst, at: next, isLast: isLast)
      if burst.path != nil {
        received.segments.append(next..<next &+ UInt32(segment.payload.count))
      } else if next &+ UInt32(segment.payload.count) != received.segments[burst.again - 1].upperBound {
        throw mismatch("another segment than the one that was lost")
      }
      bytes += segment.payload
      next &+= UInt32(segment.payload.count)
      if !burst.lost.contains(number) { take(segment) }
      if number == burst.segments {
        let probe = try expectPart(burst, at: next &- 1, isLast: isLast)
        if probe.payload != segment.payload.suffix(1) { throw mismatch("the probe is not the last byte") }
        if !burst.isProbeLost { take(probe) }
      }
    }
    if let path = burst.path, let reason = Content.response(200, path: path).difference(from: bytes) {
      throw mismatch(reason)
    }
  }

  private mutating func expectPart(_ burst: Burst, at sequence: UInt32, isLast: Bool) throws -> ReceivedSegment {
    let flags: SegmentFlags = isLast ? (burst.fin ? [.fin, .psh, .ack] : [.psh, .ack]) : .ack
    let arrival = try nextArrival(flags, isKernelPart: true)
    let segment = arrival.segment
    try check(segment, isKernelPart: true)
    if segment.flags != flags { throw mismatch("flags \(segment.flags), not \(flags)") }
    if segment.sequence != sequence {
      throw mismatch("seq \(received.relative(segment.sequence)), not \(received.relative(sequence))")
    }
    if segment.acknowledgement != sent.message {
      throw mismatch("ack \(sent.relative(segment.acknowledgement)), not \(sent.relative(sent.message))")
    }
    if arrival.after_ms > Double(burst.within_ms) { throw mismatch("after \(arrival.after_ms) ms") }
    let options = SegmentOption.parse(segment.options)
    let expected =
      hasTimestamps ? [SegmentOption.timestamps(value: segment.timestamp?.value ?? 0, echo: lastTimestamp)] : []
    if options != expected { throw mismatch("options \(options), not \(expected)") }
    let size = Int(min(offer.mss ?? 536, world.mssMax)) - (hasTimestamps ? 12 : 0)
    if segment.payload.count > size { throw mismatch("\(segment.payload.count) bytes in a segment for \(size)") }
    return segment
  }
}
