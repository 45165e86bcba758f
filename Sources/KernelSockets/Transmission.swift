import BPFKernel
import Wire

/// The part of a response that one segment carries: its first part is the whole head and some of the body, any other
/// is of the body alone. Where it is counts in bytes of the response.
public struct ResponsePart: BitwiseCopyable {
  public var offset: UInt32 = 0
  public var end: UInt32 = 0
  /// Bytes of the response, our FIN not among them.
  public var responseLength: UInt32 = 0
  /// Segments that may still be sent, this one among them.
  public var segments: UInt32
  /// 1: the last byte of a burst again, so that the client says at once what it has.
  public var isProbe: UInt32 = 0
  /// 1: it has been sent before.
  public var isRepeated: UInt32

  @inline(__always) init(offset: UInt32, segments: UInt32, isRepeated: Bool) {
    self.offset = offset
    self.segments = segments
    self.isRepeated = isRepeated ? 1 : 0
  }
}

/// Sending of responses, in one segment or in several.
extension SocketServer {
  /// send(2), and shutdown(2) if `closes`: answers the data with a response of so many bytes, no more than
  /// `sendLimit`, which `write` will be asked for. What it is made from stands in `memory.connection` already, in the
  /// fields that are the server's.
  @inline(__always) public func beginResponse(length: UInt32, closes: Bool) -> Step {
    memory.connection.pointee.answer(segment, responseLength: length, closes: closes)
    memory.part.pointee = ResponsePart(offset: 0, segments: UInt32(InitialWindow.segments), isRepeated: false)
    return .transmit
  }

  /// Sends a response from the part in the memory on, and stores the connection. A response of several segments
  /// is followed by a probe.
  ///
  /// All of several segments are copies. The packet itself may be, on one host, the very buffer its sender keeps for the
  /// request: as long as it waits in that sender's receive queue for what was lost before it, Linux takes the request
  /// for not sent yet, and does not send it again (skb_still_in_host_queue).
  @inline(never) func transmit(stored: Stored?) -> Verdict {
    let part = memory.part
    guard Reply.turnAround(packet, for: memory.segment, headers: memory.headers), write() else {
      return drop(.droppedTorn)
    }
    // Before anything is sent, for the client may be faster than we are.
    guard keep(stored) else { return drop(.droppedFull) }
    count(part.pointee.isRepeated != 0 ? .retransmission : .answer)
    if !connection.owesAcknowledgement { return packet.reflect() }
    for _ in 0..<InitialWindow.segments {
      part.pointee.segments = part.pointee.segments &- 1
      if part.pointee.segments == 0 || part.pointee.end >= part.pointee.responseLength { break }
      guard sendPart() else { return drop(.droppedPacket) }
      part.pointee.offset = part.pointee.end
      guard write() else { return drop(.droppedTorn) }
    }
    guard sendPart() else { return drop(.droppedPacket) }
    part.pointee.offset = part.pointee.end &- 1
    part.pointee.isProbe = 1
    guard write() else { return drop(.droppedTorn) }
    guard sendPart() else { return drop(.droppedPacket) }
    return .drop
  }

  /// Sends a copy of the packet as it is.
  @inline(__always) private func sendPart() -> Bool {
    count(.segment)
    return packet.reflectCopy()
  }

  /// A part of the last response is missing: its bytes again, or the connection is reset.
  @inline(never) func retransmit() -> Step {
    guard canRepeat() else {
      Connection.table.remove(segment.flow)
      return .done(sendReset())
    }
    let offset = connection.sendUnacknowledged - connection.responseSequence
    memory.part.pointee = ResponsePart(
      offset: offset, segments: connection.segmentsRepeated, isRepeated: true)
    return .transmit
  }
}
