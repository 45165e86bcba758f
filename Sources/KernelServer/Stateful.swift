import BPFKernel
import Contract
import KernelSockets
import Wire

/// Packets of connections the kernel part holds.
extension Server {
  typealias Stored = UnsafeMutablePointer<Connection>

  @inline(__always) func proceed(_ stored: Stored) -> Verdict {
    if stored.pointee.state == ConnectionState.handedOver { return proceedHandedOver(stored) }
    guard loadPayload(), isChecksumRight() else { return drop(.checksum) }
    var connection = stored.pointee
    let arrival = connection.arrive(segment)
    switch arrival {
    case .request: return serve(connection, stored: stored)
    case .repeatedRequest: return repeatAnswer(connection)
    case .finish: return finish(connection, stored: stored)
    case .repeatedFinish: return send(lastFinish(connection), counting: .finishes)
    case .acknowledge:
      stored.pointee = connection
      return send(acknowledgement(connection), counting: .acknowledgements)
    case .challenge: return send(acknowledgement(connection), counting: .challenges)
    case .reset:
      Maps.connections.remove(segment.flow)
      return sendReset(connection)
    case .forget:
      Maps.connections.remove(segment.flow)
      return drop(segment.flags.has(TCPFlags.rst) ? .reset : .acknowledgement)
    case .reopen:
      Maps.connections.remove(segment.flow)
      return begin()
    case .quiet:
      stored.pointee.state = connection.state
      return drop(.acknowledgement)
    case .outOfOrder: return drop(.outOfOrder)
    case .unacknowledged: return drop(.unacknowledged)
    }
  }

  /// The connection was given to a listener: as soon as its socket is there, all is the kernel's. Until then (the
  /// accept queue may be full) the request, sent again, is given again.
  @inline(__always) private func proceedHandedOver(_ stored: Stored) -> Verdict {
    if case .connection = Handover.hasSocket(packet, segment.flow) {
      Maps.connections.remove(segment.flow)
      return leave()
    }
    let connection = stored.pointee
    if segment.flags.has(TCPFlags.rst) {
      if segment.sequence != connection.receiveNext { return drop(.reset) }
      Maps.connections.remove(segment.flow)
      return drop(.reset)
    }
    if segment.flags.isOnly(TCPFlags.syn) {
      Maps.connections.remove(segment.flow)
      return begin()
    }
    if segment.sequence == connection.receiveNext && segment.payloadLength != 0
      && segment.acknowledgement == connection.sendNext
    {
      return handOver(connection, stored: stored, nil)
    }
    return drop(.notYetAccepted)
  }

  /// The client has closed (RFC 9293 section 3.6, case 2): there is nothing left to send, so close as well.
  @inline(__always) func finish(_ connection: Connection, stored: Stored?) -> Verdict {
    var connection = connection
    let reply = Reply(
      sequence: connection.sendNext, acknowledgement: segment.end, flags: TCPFlags.fin | TCPFlags.ack)
    connection.finish(segment)
    guard keep(connection, stored: stored) else { return drop(.full) }
    return send(reply, counting: .finishes)
  }

  @inline(__always) private func lastFinish(_ connection: Connection) -> Reply {
    Reply(
      sequence: connection.sendNext &- 1, acknowledgement: connection.receiveNext,
      flags: TCPFlags.fin | TCPFlags.ack)
  }

  @inline(__always) private func acknowledgement(_ connection: Connection) -> Reply {
    Reply(sequence: connection.sendNext, acknowledgement: connection.receiveNext, flags: TCPFlags.ack)
  }

  /// RFC 9293 section 3.10.7.4: data after the connection was closed here.
  @inline(__always) func sendReset(_ connection: Connection) -> Verdict {
    send(
      Reply(sequence: connection.sendNext, acknowledgement: segment.end, flags: TCPFlags.rst | TCPFlags.ack),
      counting: .resets)
  }

  /// Stores what the connection has become.
  @inline(__always) func keep(_ connection: Connection, stored: Stored?) -> Bool {
    if let stored {
      stored.pointee = connection
      return true
    }
    var connection = connection
    return Maps.connections.update(segment.flow, &connection)
  }
}
