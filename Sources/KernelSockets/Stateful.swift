import BPFKernel
import Wire

/// Packets of connections the kernel part holds.
extension SocketServer {
  typealias Stored = UnsafeMutablePointer<Connection>

  @inline(never) func proceed(_ stored: Stored) -> Step {
    if stored.pointee.state == ConnectionState.handedOver { return proceedHandedOver(stored) }
    guard loadPayload(), isChecksumRight() else { return .done(drop(.droppedChecksum)) }
    connection = stored.pointee
    var arrival = memory.connection.pointee.arrive(segment)
    if arrival == .challenge && segment.flags.isOnly(TCPFlags.syn) && connection.isForgettable(at: now_s) {
      arrival = .reopen
    }
    if arrival == .request && isDataIgnored {
      memory.connection.pointee.receiveNext = segment.end
      arrival = .acknowledge
    }
    // So long a payload is not verified here. The kernel verifies what it is given; on anything else nothing is built.
    if !isPayloadLoaded && arrival != .request { return .done(drop(.droppedOutOfOrder)) }
    switch arrival {
    case .request: return .receive
    case .retransmit: return .retransmit
    case .finish: return .finish
    case .repeatedFinish: return .done(send(lastFinish, counting: .finish))
    case .acknowledge:
      memory.connection.pointee.endedSecond = now_s
      stored.pointee = connection
      return .done(send(acknowledgement, counting: .acknowledgement))
    case .challenge: return .done(send(acknowledgement, counting: .challenge))
    case .reset:
      Connection.table.remove(segment.flow)
      return .done(sendReset())
    case .forget:
      Connection.table.remove(segment.flow)
      return .done(drop(segment.flags.has(TCPFlags.rst) ? .droppedReset : .droppedAcknowledgement))
    case .reopen:
      Connection.table.remove(segment.flow)
      return .begin
    case .quiet:
      stored.pointee = connection
      return .done(drop(.droppedAcknowledgement))
    case .outOfOrder: return .done(drop(.droppedOutOfOrder))
    case .unacknowledged: return .done(drop(.droppedUnacknowledged))
    case .untimely: return .done(drop(.droppedUntimely))
    }
  }

  /// The connection was given to a listener: as soon as its socket is there, all is the kernel's. Until then (the
  /// accept queue may be full) the request, sent again, is given again.
  @inline(__always) private func proceedHandedOver(_ stored: Stored) -> Step {
    if case .connection = Handover.hasSocket(packet, segment.flow) {
      Connection.table.remove(segment.flow)
      return .done(leave())
    }
    connection = stored.pointee
    if segment.flags.has(TCPFlags.rst) {
      if segment.sequence != connection.receiveNext { return .done(drop(.droppedReset)) }
      Connection.table.remove(segment.flow)
      return .done(drop(.droppedReset))
    }
    if segment.flags.isOnly(TCPFlags.syn) {
      Connection.table.remove(segment.flow)
      return .begin
    }
    if segment.sequence == connection.receiveNext && segment.payloadLength != 0
      && segment.acknowledgement == connection.sendNext
    {
      return .handOverAgain
    }
    return .done(drop(.droppedNotYetAccepted))
  }

  /// The client has closed (RFC 9293 section 3.6, case 2): there is nothing left to send, so close as well.
  @inline(__always) func finish(stored: Stored?) -> Verdict {
    let reply = connection.reply(
      to: segment, sequence: connection.sendNext, acknowledgement: segment.end, flags: TCPFlags.fin | TCPFlags.ack)
    memory.connection.pointee.finish(segment)
    memory.connection.pointee.endedSecond = now_s
    guard keep(stored) else { return drop(.droppedFull) }
    return send(reply, counting: .finish)
  }

  @inline(__always) private var lastFinish: Reply {
    connection.reply(
      to: segment, sequence: connection.sendNext &- 1, acknowledgement: connection.receiveNext,
      flags: TCPFlags.fin | TCPFlags.ack)
  }

  @inline(__always) private var acknowledgement: Reply {
    let position = connection.position(answering: segment)
    return connection.reply(
      to: segment, sequence: position.sequence, acknowledgement: position.acknowledgement, flags: TCPFlags.ack)
  }

  /// RFC 9293 section 3.10.7.1: a reset has the number the segment acknowledges, for that is the one its sender expects
  /// next; it believes no other (RFC 5961 section 3.2).
  @inline(__always) func sendReset() -> Verdict {
    send(
      connection.reply(
        to: segment, sequence: segment.acknowledgement, acknowledgement: segment.end, flags: TCPFlags.rst | TCPFlags.ack
      ),
      counting: .reset)
  }

  @inline(__always) private var now_s: UInt16 { UInt16(truncatingIfNeeded: Clock.coarse_ns / 1_000_000_000) }

  /// Stores what the connection has become.
  @inline(__always) func keep(_ stored: Stored?) -> Bool {
    if let stored {
      stored.pointee = connection
      return true
    }
    return Connection.table.update(at: memory.segment, memory.connection)
  }
}
