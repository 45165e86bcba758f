import Wire

/// Responses of several segments: what may be sent at once, and how what is lost is sent again.
///
/// Nothing here has a timer. So the client's is kept running: as long as any of the response is missing, no segment
/// of ours acknowledges the request, and the client sends it again (RFC 6298), from which we learn what it has. Every
/// burst ends with its last byte once more, a tail loss probe (RFC 8985 section 7) that does not wait for a time-out:
/// a receiver answers it at once, with what it has (RFC 9293 section 3.10.7.4) or with a duplicate acknowledgement.
/// ARCHITECTURE.md has the argument and the table.
extension Connection {
  /// Bytes of a segment of a response but for the last: a multiple of four, as checksums are taken.
  @inline(__always) public var segmentRoom: UInt32 { UInt32(payloadMax) & ~3 }

  /// Bytes that may be sent at once: the initial window (RFC 6928 section 2), less what losses have taken of it.
  @inline(__always) public var burstMax: UInt32 {
    let size = UInt32(segmentSizeMax)
    let upper = 2 &* size > 14_600 ? 2 &* size : 14_600
    let initial = 10 &* size < upper ? 10 &* size : upper
    let window = UInt32(congestionWindow) &* segmentRoom
    // The first segment may have to be three bytes shorter for the second to begin at a multiple of four.
    return (initial < window ? initial : window) &- 3
  }

  /// Nothing of what we sent is missing, and so nothing of the request is unacknowledged for much longer.
  @inline(__always) mutating func acknowledgeAll(_ segment: Segment) {
    undoTimeout(segment)
    noteRoundTrip(segment)
    if state == ConnectionState.answering { state = ConnectionState.idle }
    if sendUnacknowledged != sendNext && recovery == Recovery.none && congestionWindow < InitialWindow.segments {
      congestionWindow = congestionWindow &+ 1
    }
    sendUnacknowledged = sendNext
    duplicates = 0
    recovery = Recovery.none
  }

  /// A bare acknowledgement of a part of the response, or of nothing of it.
  @inline(__always) mutating func arrivePart(_ segment: Segment) -> Arrival {
    // A response of one segment is sent again when its request is.
    if !owesAcknowledgement || segment.acknowledgement < sendUnacknowledged { return .quiet }
    if segment.acknowledgement > sendUnacknowledged {
      sendUnacknowledged = segment.acknowledgement
      lastWindow = segment.window
      duplicates = 0
      undoTimeout(segment)
      if recovery != Recovery.none {
        // After a time-out the window opens again (RFC 5681 section 3.1), in the next burst.
        if recovery == Recovery.timeout && congestionWindow < InitialWindow.segments {
          congestionWindow = congestionWindow &+ 1
        }
        // A partial acknowledgement: what follows it is lost, too (RFC 6582 section 3.2 step 5).
        return .retransmit
      }
      return isEndSeen(segment) ? beginRecovery() : .quiet
    }
    if !isDuplicate(segment) {
      lastWindow = segment.window
      return .quiet
    }
    duplicates = duplicates < 255 ? duplicates &+ 1 : 255
    if recovery == Recovery.timeout {
      // What was sent again is lost again, for the probe behind it has come. A block below the acknowledgement says that
      // something came twice (RFC 2883). Two segments, if the first is lost, make two duplicates.
      let isHole = segment.options.hasSACK && SequenceNumber(segment.options.sackEnd) > segment.acknowledgement
      return isHole && duplicates & 1 != 0 ? .retransmit : .quiet
    }
    if recovery != Recovery.none { return .quiet }
    return isEndSeen(segment) || duplicates >= duplicatesMax ? beginRecovery() : .quiet
  }

  @inline(__always) private mutating func beginRecovery() -> Arrival {
    recovery = Recovery.fast
    shrink(to: congestionWindow / 2)
    return .retransmit
  }

  /// What was sent last has arrived: what has not is lost, or very late.
  @inline(__always) private func isEndSeen(_ segment: Segment) -> Bool {
    segment.options.hasSACK && segment.options.sackEnd == sendNext.value
  }

  /// RFC 5681 section 2; with SACK one that names no block reports no loss (RFC 6675 section 2).
  @inline(__always) private func isDuplicate(_ segment: Segment) -> Bool {
    options.hasSACK ? segment.options.hasSACK : segment.window == lastWindow
  }

  /// How many duplicates are a loss: three, or as many as there can be (RFC 5827 section 3.1). The probe behind the
  /// last segment makes one, too.
  @inline(__always) private var duplicatesMax: UInt8 {
    let missing = sendNext - sendUnacknowledged
    return missing <= segmentRoom ? 1 : missing <= 2 &* segmentRoom ? 2 : 3
  }

  /// The client has sent its request again, after a time-out of its own (RFC 5681 section 3.1, equation 4 and the loss
  /// window): it says what it has.
  @inline(__always) mutating func arriveAgain(_ segment: Segment) -> Arrival {
    if recovery != Recovery.timeout && options.hasTimestamps {
      windowBeforeTimeout = congestionWindow
      let tick = tick(of: segment)
      // Within a tick of the clock the client can have missed nothing: its request had waited here.
      timeoutTick = tick &+ (tick == timeoutTick ? 1 : 0)
    }
    sendUnacknowledged = segment.acknowledgement
    recovery = Recovery.timeout
    duplicates = 0
    shrink(to: 1)
    return .retransmit
  }

  /// When a segment came, by the clock of our timestamps: its lower half.
  @inline(__always) func tick(of segment: Segment) -> UInt16 {
    UInt16(truncatingIfNeeded: segment.time &+ timestampOffset)
  }

  /// The time-out was none, only a delay, if what the client acknowledges after it was sent before it: the timestamp it
  /// sends back says so (the Eifel detection, RFC 3522 section 3.2). Then the window is as it was (RFC 4015 section 3.4).
  /// A client with two requests unacknowledged waits no longer than two round trips (RFC 8985 section 7.2), and that is
  /// how it stands whenever it has a next request sooner than our acknowledgement of the last.
  @inline(__always) private mutating func undoTimeout(_ segment: Segment) {
    if recovery != Recovery.timeout || !options.hasTimestamps { return }
    // Of the low halves: a time-out is over long before they have gone round, in 65 s.
    if (UInt16(truncatingIfNeeded: segment.options.echo) &- timeoutTick) >> 15 == 0 { return }
    congestionWindow = windowBeforeTimeout
    recovery = Recovery.none
  }

  /// How many segments are sent again at once. After a time-out of the client's, two for each acknowledgement of a
  /// part, as in slow start: as long as anything is missing the client's timer goes on doubling, so each round trip
  /// that is saved counts.
  @inline(__always) var segmentsRepeated: UInt32 {
    recovery == Recovery.timeout && congestionWindow > 1 ? 2 : 1
  }

  @inline(__always) private mutating func shrink(to segments: UInt8) {
    congestionWindow = segments > 1 ? segments : 1
  }
}

/// Whether something is known to be lost, and how it came to be known.
public enum Recovery {
  public static var none: UInt8 { 0 }
  /// By duplicate acknowledgements.
  public static var fast: UInt8 { 1 }
  /// By the client's repeating its request.
  public static var timeout: UInt8 { 2 }
}

/// RFC 6928.
public enum InitialWindow {
  public static var segments: UInt8 { 10 }
}
