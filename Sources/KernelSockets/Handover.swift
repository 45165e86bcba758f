import BPFKernel
import Wire

/// Where a connection's sockets are looked for.
public enum Handover {
  /// Whether the kernel has a socket of its own for the connection: established, or in TIME-WAIT.
  @inline(__always) public static func hasSocket(_ packet: PacketContext, _ flow: FlowKey) -> SocketPresence {
    let tuple = SocketTuple(
      sourceAddress: flow.remoteAddress, destinationAddress: flow.localAddress,
      sourcePort: flow.remotePort, destinationPort: flow.localPort)
    guard let socket = Socket(packet, tuple) else { return .none }
    return socket.isListening ? .listener : .connection
  }

  /// The listener behind: the packet's connection as if it had come to that address and port.
  @inline(__always)
  public static func hasListener(
    _ packet: PacketContext, _ flow: FlowKey, address: UInt32, port: UInt16
  ) -> Bool {
    guard let socket = Socket(packet, tuple(flow, address, port)) else { return false }
    return socket.isListening
  }

  /// Gives the connection to the listener behind, with this packet as its first data (bpf_sk_assign_tcp_reqsk): the
  /// kernel makes an established socket whose receive sequence is the segment's and whose send sequence is what the
  /// segment acknowledges, and puts it in the accept queue. It refuses options this host no longer allows, which is
  /// why timestamps and SACK are not named then: a connection goes on without them.
  ///
  /// - Parameter allowed: bits of `SegmentOptions.Present`.
  @inline(__always)
  public static func give(
    _ packet: PacketContext, _ segment: Segment, _ connection: Connection, allowed: UInt8, address: UInt32, port: UInt16
  ) -> HandoverResult {
    guard let listener = Socket(packet, tuple(segment.flow, address, port)), listener.isListening else {
      return .noListener
    }
    var attributes = RequestSocketAttributes()
    attributes.segmentSizeMax = connection.segmentSizeMax
    let options = connection.options
    if options.hasTimestamps && allowed & SegmentOptions.Present.timestamps != 0 {
      attributes.hasTimestamps = 1
      attributes.receivedTimestamp = segment.options.timestamp
      // The kernel goes on from what it takes for our latest timestamp.
      attributes.echoedTimestamp = TimestampClock.now(offset: connection.timestampOffset)
    }
    if options.hasSACK && allowed & SegmentOptions.Present.sackPermitted != 0 { attributes.hasSACK = 1 }
    if options.hasWindowScale {
      attributes.hasWindowScale = 1
      attributes.sendWindowScale = options.windowShift
      attributes.receiveWindowScale = ReceiveWindow.shift
    }
    return listener.accept(packet, attributes) ? .given : .refused
  }

  @inline(__always)
  private static func tuple(_ flow: FlowKey, _ address: UInt32, _ port: UInt16) -> SocketTuple {
    SocketTuple(
      sourceAddress: flow.remoteAddress, destinationAddress: address,
      sourcePort: flow.remotePort, destinationPort: port)
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
