import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// Packets of connections the kernel part holds.
extension Server {
  typealias Stored = UnsafeMutablePointer<Connection>

  @inline(never) func proceed(_ stored: Stored) -> Step {
    if stored.pointee.state == ConnectionState.handedOver { return proceedHandedOver(stored) }
    guard loadPayload(), isChecksumRight() else { return .done(drop(.checksum)) }
    connection = stored.pointee
    var arrival = scratch.connection.pointee.arrive(segment)
    if arrival == .request && isEmptyLine {
      scratch.connection.pointee.receiveNext = segment.end
      arrival = .acknowledge
    }
    // So long a payload is not verified here. The kernel verifies what it is given; on anything else nothing is built.
    if !isPayloadLoaded && arrival != .request { return .done(drop(.outOfOrder)) }
    switch arrival {
    case .request: return .serve
    case .retransmit: return .retransmit
    case .finish: return .finish
    case .repeatedFinish: return .done(send(lastFinish, counting: .finishes))
    case .acknowledge:
      stored.pointee = connection
      return .done(send(acknowledgement, counting: .acknowledgements))
    case .challenge: return .done(send(acknowledgement, counting: .challenges))
    case .reset:
      Maps.connections.remove(segment.flow)
      return .done(sendReset())
    case .forget:
      Maps.connections.remove(segment.flow)
      return .done(drop(segment.flags.has(TCPFlags.rst) ? .reset : .acknowledgement))
    case .reopen:
      Maps.connections.remove(segment.flow)
      return .begin
    case .quiet:
      stored.pointee = connection
      return .done(drop(.acknowledgement))
    case .outOfOrder: return .done(drop(.outOfOrder))
    case .unacknowledged: return .done(drop(.unacknowledged))
    case .untimely: return .done(drop(.untimely))
    }
  }

  /// An empty line between two requests, in a segment of its own: RFC 9112 section 2.2 has servers ignore it. Handed
  /// over it would come first on the connection's new owner, and some ignore it only where they have answered something.
  @inline(__always) private var isEmptyLine: Bool {
    segment.payloadLength == 2 && UnsafeRawPointer(scratch.head.base).word16(0) == 0x0a0d
      && scratch.connection.pointee.answered != 0 && !segment.flags.has(TCPFlags.fin)
  }

  /// The connection was given to a listener: as soon as its socket is there, all is the kernel's. Until then (the
  /// accept queue may be full) the request, sent again, is given again.
  @inline(__always) private func proceedHandedOver(_ stored: Stored) -> Step {
    if case .connection = Handover.hasSocket(packet, segment.flow) {
      Maps.connections.remove(segment.flow)
      return .done(leave())
    }
    connection = stored.pointee
    if segment.flags.has(TCPFlags.rst) {
      if segment.sequence != connection.receiveNext { return .done(drop(.reset)) }
      Maps.connections.remove(segment.flow)
      return .done(drop(.reset))
    }
    if segment.flags.isOnly(TCPFlags.syn) {
      Maps.connections.remove(segment.flow)
      return .begin
    }
    if segment.sequence == connection.receiveNext && segment.payloadLength != 0
      && segment.acknowledgement == connection.sendNext
    {
      return .handOverAgain
    }
    return .done(drop(.notYetAccepted))
  }

  /// The client has closed (RFC 9293 section 3.6, case 2): there is nothing left to send, so close as well.
  @inline(__always) func finish(stored: Stored?) -> Verdict {
    let reply = connection.reply(
      sequence: connection.sendNext, acknowledgement: segment.end, flags: TCPFlags.fin | TCPFlags.ack)
    scratch.connection.pointee.finish(segment)
    guard keep(stored) else { return drop(.full) }
    return send(reply, counting: .finishes)
  }

  @inline(__always) private var lastFinish: Reply {
    connection.reply(
      sequence: connection.sendNext &- 1, acknowledgement: connection.receiveNext,
      flags: TCPFlags.fin | TCPFlags.ack)
  }

  @inline(__always) private var acknowledgement: Reply {
    let position = connection.position(answering: segment)
    return connection.reply(
      sequence: position.sequence, acknowledgement: position.acknowledgement, flags: TCPFlags.ack)
  }

  /// RFC 9293 section 3.10.7.1: a reset has the number the segment acknowledges, for that is the one its sender expects
  /// next; it believes no other (RFC 5961 section 3.2).
  @inline(__always) func sendReset() -> Verdict {
    send(
      connection.reply(
        sequence: segment.acknowledgement, acknowledgement: segment.end, flags: TCPFlags.rst | TCPFlags.ack),
      counting: .resets)
  }

  /// Stores what the connection has become.
  @inline(__always) func keep(_ stored: Stored?) -> Bool {
    if let stored {
      stored.pointee = connection
      return true
    }
    return Maps.connections.update(at: scratch.segment, scratch.connection)
  }
}
