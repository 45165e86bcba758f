import Wire

/// What a segment means for a connection the kernel part holds: one cell of the table in ARCHITECTURE.md.
public enum Arrival: UInt32, CaseIterable, Sendable {
  /// Data at RCV.NXT, and nothing of ours is unacknowledged: answer it or hand the connection over.
  case request
  /// A part of our response is missing: send from SND.UNA on what was sent.
  case retransmit
  /// The client has closed: acknowledge and close as well.
  case finish
  /// The client did not see our FIN: send it again.
  case repeatedFinish
  /// Old or out of the window: say where we are (RFC 9293 section 3.10.7.4, first step).
  case acknowledge
  /// The same for what may be forged (RFC 5961 sections 3 to 5).
  case challenge
  /// Data for a connection we have closed.
  case reset
  /// The connection is over.
  case forget
  /// A new connection on the four-tuple of one that is over.
  case reopen
  /// Nothing to do.
  case quiet
  /// A part before it is missing.
  case outOfOrder
  /// It would be a request, but the client has not acknowledged our last response.
  case unacknowledged
  /// Without the timestamp that was agreed on, or with one from the past (RFC 7323 sections 3.2 and 5.3).
  case untimely
}

extension Connection {
  /// Takes a segment in (RFC 9293 section 3.10.7.4, for a server that holds no data back). A request and a first
  /// FIN do not change the connection: what becomes of them is decided by who answers.
  @inline(__always) public mutating func arrive(_ segment: Segment) -> Arrival {
    let flags = segment.flags
    if flags.has(TCPFlags.rst) { return arriveReset(segment) }
    if flags.has(TCPFlags.syn) { return isOver && isNewer(segment) ? .reopen : .challenge }
    if !flags.has(TCPFlags.ack) { return .outOfOrder }
    if options.hasTimestamps {
      if !segment.options.hasTimestamps { return .untimely }
      // The clock goes round in 25 days, in which no connection stays here without a segment.
      if SequenceNumber(segment.options.timestamp) < SequenceNumber(peerTimestamp) {
        // A bare ACK that was overtaken needs no answer (tcp_disordered_ack); all else gets one.
        return segment.sequenceLength == 0 ? .untimely : .acknowledge
      }
      if segment.sequence <= receiveNext { peerTimestamp = segment.options.timestamp }
    }
    // An acknowledgement of what was never sent (RFC 5961 section 5.2).
    if segment.acknowledgement > sendNext { return .challenge }
    if segment.sequence > receiveNext { return .outOfOrder }
    if segment.sequence != receiveNext { return arriveOld(segment) }

    if segment.acknowledgement != sendNext {
      return segment.sequenceLength == 0 ? arrivePart(segment) : .unacknowledged
    }
    acknowledgeAll(segment)
    if segment.sequenceLength == 0 { return arriveAcknowledgement() }
    if state == ConnectionState.closing { return arriveClosing(segment) }
    return segment.payloadLength != 0 ? .request : .finish
  }

  /// Both sides have closed; what is left is TIME-WAIT.
  @inline(__always) private var isOver: Bool { state == ConnectionState.closing && peerClosed != 0 }

  /// Whether a SYN on the four-tuple of a connection that is over opens a new one: by its number (RFC 9293 section
  /// 3.6.1), or by its timestamp (RFC 6191 section 2), for numbers go round in less than five minutes.
  @inline(__always) private func isNewer(_ segment: Segment) -> Bool {
    if !segment.flags.isOnly(TCPFlags.syn) { return false }
    if segment.sequence > receiveNext { return true }
    return options.hasTimestamps && segment.options.hasTimestamps
      && SequenceNumber(segment.options.timestamp) > SequenceNumber(peerTimestamp)
  }

  /// The connection has been over for longer than 2 MSL, as the kernel counts them (TCP_TIMEWAIT_LEN): an entry stays
  /// until its place is needed, but nothing is left to wait for.
  @inline(__always) func isForgettable(at now_s: UInt16) -> Bool { isOver && now_s &- endedSecond > 60 }

  /// A bare acknowledgement of all that was sent.
  @inline(__always) private mutating func arriveAcknowledgement() -> Arrival {
    if owesAcknowledgement {
      owed = 0
      if peerClosed == 2 { peerClosed = 1 }
      return .acknowledge
    }
    // The last acknowledgement of a connection the client closed first.
    return state == ConnectionState.closing && peerClosed == 2 ? .forget : .quiet
  }

  /// RFC 5961 section 3.2: only a RST at exactly RCV.NXT is believed, be it the one we announce for the time being.
  @inline(__always) private func arriveReset(_ segment: Segment) -> Arrival {
    if segment.sequence == receiveNext || (isUnseen && segment.sequence == requestSequence) { return .forget }
    return segment.sequence - receiveNext < UInt32(ReceiveWindow.size) ? .challenge : .quiet
  }

  /// The segment begins before RCV.NXT.
  @inline(__always) private mutating func arriveOld(_ segment: Segment) -> Arrival {
    if state == ConnectionState.closing && segment.acknowledgement == sendNext &- 1
      && segment.flags.has(TCPFlags.fin) && segment.end == receiveNext
    {
      return .repeatedFinish
    }
    // Linux joins small segments when it sends them again: the request may have grown at its end.
    if segment.sequence == requestSequence && segment.payloadLength >= requestLength && answered != 0
      && segment.acknowledgement >= responseSequence && segment.acknowledgement < sendNext
      && (state == ConnectionState.answering || state == ConnectionState.closing)
    {
      return arriveAgain(segment)
    }
    if owesAcknowledgement && segment.acknowledgement == sendNext {
      acknowledgeAll(segment)
      owed = 0
    }
    return .acknowledge
  }

  /// In order, after our FIN, which is acknowledged: only a FIN can come.
  @inline(__always) private mutating func arriveClosing(_ segment: Segment) -> Arrival {
    if segment.payloadLength != 0 || peerClosed != 0 { return .reset }
    receiveNext = receiveNext &+ 1
    peerClosed = 1
    return .acknowledge
  }

  /// Whether the client may not have seen our last response, or our FIN.
  @inline(__always) private var isUnseen: Bool {
    state == ConnectionState.answering || (state == ConnectionState.closing && peerClosed != 1)
  }

  /// SEG.SEQ and SEG.ACK of a segment of ours that carries nothing, sent because of `segment`.
  ///
  /// As long as the client may not have seen our response, they are those from before its request: the client is the
  /// one that repeats. A request once acknowledged it would not send again, and a response that was lost would never
  /// come. Where the client has seen it, the segment is an old one, which it answers with its own acknowledgement.
  @inline(__always)
  public func position(answering segment: Segment) -> (sequence: SequenceNumber, acknowledgement: SequenceNumber) {
    if isUnseen && segment.acknowledgement != sendNext { return (responseSequence, requestSequence) }
    return (sendNext, receiveNext)
  }

  /// A request of `length` bytes is being answered with `responseLength` bytes.
  @inline(__always)
  public mutating func answer(_ segment: Segment, responseLength: UInt32, closes: Bool) {
    requestSequence = segment.sequence
    requestLength = segment.payloadLength
    responseSequence = sendNext
    sendUnacknowledged = sendNext
    lastWindow = segment.window
    owed = responseLength > UInt32(payloadMax) ? 1 : 0
    receiveNext = segment.end
    sendNext = sendNext &+ responseLength &+ (closes ? 1 : 0)
    peerClosed = segment.flags.has(TCPFlags.fin) ? 2 : 0
    state = closes ? ConnectionState.closing : ConnectionState.answering
    if answered != .max { answered = answered &+ 1 }
    if owesAcknowledgement && options.hasTimestamps { timeoutTick = tick(of: segment) }
  }

  /// The client's FIN is answered with ours.
  @inline(__always) public mutating func finish(_ segment: Segment) {
    requestSequence = segment.sequence
    responseSequence = sendNext
    sendUnacknowledged = sendNext
    owed = 0
    receiveNext = segment.end
    sendNext = sendNext &+ 1
    peerClosed = 2
    state = ConnectionState.closing
    answered = 0
  }
}
