import BPFKernel
import Wire

/// Where a connection's sockets are looked for.
public enum Handover {
  /// Whether the kernel has a socket of its own for the connection: established, or in TIME-WAIT.
  @inline(__always) public static func hasSocket(_ packet: PacketContext, _ flow: FlowKey) -> SocketPresence {
    guard let socket = Socket(packet, flow, from: flow.remotePort, at: flow.localAddress, flow.localPort) else {
      return .none
    }
    return socket.isListening ? .listener : .connection
  }

  /// The listener behind: that of the packet's connection as if it had come to that address and port.
  ///
  /// From port 0, from which no connection comes: the client may have one to that very address, from the same port, and
  /// that would be found in place of the listener. Of a SO_REUSEPORT group this is any; the kernel chooses again
  /// (inet_steal_sock).
  @inline(__always)
  public static func listener(_ packet: PacketContext, _ flow: FlowKey, behind name: SocketAddress) -> Socket? {
    guard let socket = Socket(packet, flow, from: 0, at: name.address, name.port), socket.isListening else {
      return nil
    }
    return socket
  }

  /// Gives the connection to the listener behind, with this packet as its first data (bpf_sk_assign_tcp_reqsk): the
  /// kernel makes an established socket whose receive sequence is the segment's and whose send sequence is what the
  /// segment acknowledges, and puts it in the accept queue. It refuses options this host no longer allows, which is
  /// why they are not named then: a connection goes on without them. Without window scale the new owner takes the
  /// client's window for smaller than it is; and what the client sends beyond the real one comes again.
  ///
  /// - Parameter allowed: bits of `SegmentOptions.Present`.
  @inline(__always)
  public static func give(
    _ packet: PacketContext, _ segment: Segment, _ connection: Connection, allowed: UInt8,
    behind name: SocketAddress
  ) -> HandoverResult {
    guard let listener = listener(packet, segment.flow, behind: name) else { return .noListener }
    var attributes = RequestSocketAttributes()
    attributes.segmentSizeMax = connection.segmentSizeMax
    let options = connection.options
    if options.hasTimestamps && allowed & SegmentOptions.Present.timestamps != 0 {
      attributes.hasTimestamps = 1
      attributes.receivedTimestamp = segment.options.timestamp
      // The kernel goes on from what it takes for our latest timestamp.
      attributes.echoedTimestamp = segment.time &+ connection.timestampOffset
    }
    if options.hasSACK && allowed & SegmentOptions.Present.sackPermitted != 0 { attributes.hasSACK = 1 }
    if options.hasWindowScale && allowed & SegmentOptions.Present.windowScale != 0 {
      attributes.hasWindowScale = 1
      attributes.sendWindowScale = options.windowShift
      attributes.receiveWindowScale = ReceiveWindow.shift
    }
    return listener.accept(packet, attributes) ? .given : .refused
  }
}

extension Socket {
  /// The socket the kernel would give a packet of this flow's client to if it had come from that port to that address, of
  /// the flow's family, and port.
  @inline(__always)
  init?(_ packet: PacketContext, _ flow: FlowKey, from remotePort: UInt16, at address: IPAddress, _ port: UInt16) {
    if flow.remoteAddress.isIPv4 {
      var tuple = SocketTuple(
        sourceAddress: flow.remoteAddress.ipv4, destinationAddress: address.ipv4, sourcePort: remotePort,
        destinationPort: port)
      self.init(packet, &tuple, length: SocketTuple.byteCount)
    } else {
      var tuple = FlowKey(
        remoteAddress: flow.remoteAddress, localAddress: address, remotePort: remotePort, localPort: port)
      self.init(packet, &tuple, length: SocketTuple.byteCountIPv6)
    }
  }
}

public enum SocketPresence {
  case none
  case listener
  case connection
}

public enum HandoverResult {
  case given
  case noListener
  case refused
}

extension SocketServer {
  /// Gives the connection to the server behind, with this segment as the first data of its new owner.
  @inline(never) func handOver(_ stored: Stored?, _ step: Step) -> Verdict {
    if let code = step.handoverCode {
      countHandover(code)
      count(.handover)
    }
    correctEcho()
    let result = Handover.give(packet, segment, connection, allowed: optionsAllowed, behind: backend)
    if case .given = result {
      // Kept until the socket is seen: a full accept queue swallows the request, and the client sends it again. A
      // connection without an entry needs none: its cookie still speaks for it.
      stored?.pointee.state = ConnectionState.handedOver
      return .next
    }
    // The kernel resets it, as it does for any port nobody listens on.
    if case .noListener = result {
      count(.noListener)
    } else {
      count(.handoverRefused)
    }
    if stored != nil { Connection.table.remove(segment.flow) }
    return .next
  }
}
