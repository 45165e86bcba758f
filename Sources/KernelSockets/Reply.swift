import BPFKernel
import Wire

/// A segment that answers a packet: the packet is rewritten in place and sent back where it came from.
public struct Reply {
  public var sequence: SequenceNumber
  public var acknowledgement: SequenceNumber
  public var flags: UInt8
  /// Bytes behind the headers, stored by the caller, and their folded sum.
  public var payloadLength: UInt16 = 0
  public var payloadSum: UInt16 = 0
  /// The maximum segment size to announce, on a SYN; 0: no option.
  public var segmentSize: UInt16 = 0

  @inline(__always)
  public init(sequence: SequenceNumber, acknowledgement: SequenceNumber, flags: UInt8) {
    self.sequence = sequence
    self.acknowledgement = acknowledgement
    self.flags = flags
  }

  /// Room the headers take in memory while they are composed.
  public static var headersRoom: Int { 64 }

  /// Sends the reply, with headers composed in `headers`, and the packet cut or grown to its length. The caller
  /// stores the payload behind the headers afterwards.
  ///
  /// False: the packet could not be changed; it must be dropped.
  @inline(__always)
  public func write(to packet: PacketContext, for segment: Segment, headers: UnsafeMutableRawPointer) -> Bool {
    guard let front = packet.front(Segment.headersByteCount) else { return false }
    EthernetHeader(front).emitReply(to: headers)
    let transportLength = UInt16(TCPHeader.byteCount) &+ (segmentSize != 0 ? 4 : 0)
    IPv4Header.emit(
      to: headers + Segment.networkOffset, source: segment.flow.localAddress, destination: segment.flow.remoteAddress,
      totalLength: UInt16(IPv4Header.byteCount) &+ transportLength &+ payloadLength)
    emitTransport(
      to: headers + Segment.transportOffset, for: segment, length: transportLength,
      isPartial: packet.checksumState.isPartial)
    let headersLength = UInt32(Segment.transportOffset) &+ UInt32(transportLength)
    return packet.resize(to: headersLength &+ UInt32(payloadLength))
      && packet.store(0, from: UnsafeRawPointer(headers), length: headersLength)
  }

  @inline(__always)
  private func emitTransport(
    to header: UnsafeMutableRawPointer, for segment: Segment, length: UInt16, isPartial: Bool
  ) {
    header.put16(segment.flow.localPort, 0)
    header.put16(segment.flow.remotePort, 2)
    header.put32(sequence.value.bigEndian, 4)
    header.put32(acknowledgement.value.bigEndian, 8)
    let offsetAndFlags = (length << 10) | UInt16(flags)
    header.put16(offsetAndFlags.bigEndian, 12)
    header.put16(ReceiveWindow.size.bigEndian, 14)
    header.put32(0, 16)
    // The option stands in its place even where it is not sent: the length decides.
    let option = UInt32(TCPOption.maximumSegmentSize) << 24 | 4 << 16 | UInt32(segmentSize)
    header.put32(segmentSize != 0 ? option.bigEndian : 0, 20)

    var checksum = Checksum()
    checksum.add(segment.flow.localAddress)
    checksum.add(segment.flow.remoteAddress)
    checksum.add(UInt16(IPv4Header.protocolTCP).bigEndian)
    checksum.add((length &+ payloadLength).bigEndian)
    if isPartial {
      // Whoever sends the packet on adds the rest (CHECKSUM_PARTIAL in include/linux/skbuff.h).
      header.put16(checksum.folded, 16)
      return
    }
    let written = UnsafeRawPointer(header)
    for word in 0..<6 { checksum.add(written.word32(word &* 4)) }
    checksum.add(payloadSum)
    header.put16(checksum.complement, 16)
  }
}
