import BPFKernel
import Wire

/// A TCP segment at the front of a packet, copied out of it: the packet's memory may move at any helper call.
///
/// The flow is its first field: where a segment is, there is the key of its connection.
public struct Segment: BitwiseCopyable {
  public var flow: FlowKey
  public var sequence: SequenceNumber
  public var acknowledgement: SequenceNumber
  public var flags: TCPFlags
  /// The client's window as it stands in the header.
  public var window: UInt16
  /// Bytes of the TCP header.
  public var headerLength: UInt16
  /// Bytes behind the TCP header.
  public var payloadLength: UInt16
  /// Sum of the pseudo-header and the first 20 bytes of the TCP header, for the check of the checksum.
  public var headerSum: Checksum
  public var options: SegmentOptions

  /// Bytes of the headers in front of the payload of a segment without options.
  public static var headersByteCount: Int {
    EthernetHeader.byteCount &+ IPv4Header.byteCount &+ TCPHeader.byteCount
  }
  static var networkOffset: Int { EthernetHeader.byteCount }
  static var transportOffset: Int { EthernetHeader.byteCount &+ IPv4Header.byteCount }

  /// Reads the headers. False: not a whole plain TCP segment over IPv4 over Ethernet; that is the kernel's.
  @inline(__always) public mutating func read(_ packet: PacketContext) -> Bool {
    guard let front = packet.front(Self.headersByteCount) else { return false }
    guard EthernetHeader(front).type == EthernetHeader.typeIPv4 else { return false }
    let network = IPv4Header(front + Self.networkOffset)
    guard network.isPlain, network.proto == IPv4Header.protocolTCP, !network.isFragment else { return false }
    let transport = TCPHeader(front + Self.transportOffset)
    let headers = UInt32(transport.headerLength) &+ UInt32(IPv4Header.byteCount)
    let total = UInt32(network.totalLength)
    // A frame may be padded behind the datagram; a datagram longer than its frame is nobody's.
    guard transport.headerLength >= 20, total >= headers else { return false }
    guard total &+ UInt32(EthernetHeader.byteCount) <= packet.length else { return false }

    flow = FlowKey(
      remoteAddress: network.source, localAddress: network.destination,
      remotePort: transport.sourcePort, localPort: transport.destinationPort)
    sequence = transport.sequence
    acknowledgement = transport.acknowledgement
    flags = transport.flags
    window = transport.window
    headerLength = transport.headerLength
    payloadLength = UInt16(truncatingIfNeeded: total &- headers)
    headerSum = Checksum()
    if !network.isChecksumRight { return false }
    headerSum.add(network.source)
    headerSum.add(network.destination)
    headerSum.add(UInt16(IPv4Header.protocolTCP).bigEndian)
    headerSum.add(UInt16(truncatingIfNeeded: total &- UInt32(IPv4Header.byteCount)).bigEndian)
    for word in 0..<5 { headerSum.add(transport.base.word32(word &* 4)) }
    options = SegmentOptions()
    if headerLength >= UInt16(TCPHeader.byteCount) &+ TCPOption.timestampsByteCount && !flags.has(TCPFlags.syn) {
      readAlignedOptions(packet)
    }
    return true
  }

  /// Where the payload begins in the packet.
  @inline(__always) public var payloadOffset: UInt32 {
    UInt32(Self.transportOffset) &+ UInt32(headerLength)
  }
  /// What the segment takes of the sequence space.
  @inline(__always) public var sequenceLength: UInt32 {
    UInt32(payloadLength) &+ (flags.has(TCPFlags.fin) ? 1 : 0) &+ (flags.has(TCPFlags.syn) ? 1 : 0)
  }
  /// The sequence number behind the segment.
  @inline(__always) public var end: SequenceNumber { sequence &+ sequenceLength }
}
