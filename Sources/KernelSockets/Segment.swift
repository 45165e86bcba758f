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
  /// Bytes of the link-layer header, 0 on a device that has none, and of the IP header.
  public var linkLength: UInt8
  public var networkLength: UInt8
  /// The client's window as it stands in the header.
  public var window: UInt16
  /// Bytes of the TCP header.
  public var headerLength: UInt16
  /// Bytes behind the TCP header.
  public var payloadLength: UInt16
  /// Sum of the pseudo-header and the first 20 bytes of the TCP header, for the check of the checksum.
  public var headerSum: Checksum
  public var options: SegmentOptions
  /// When it came, by the clock of timestamps.
  public var time: UInt32 = 0

  /// Reads the headers. False: not a whole plain TCP segment, straight behind a plain IPv4 or an IPv6 header, behind an
  /// Ethernet header or none; that is the kernel's.
  @inline(__always) public mutating func read(_ packet: PacketContext) -> Bool {
    let distance = packet.linkHeaderLength
    // The mask changes no length there is; by it the verifier knows the places in the packet.
    let link = distance & 14
    guard distance < 16, link == EthernetHeader.byteCount || link == 0 else { return false }
    linkLength = UInt8(truncatingIfNeeded: link)
    let type = packet.networkProtocol
    if type == EtherType.ipv4 { return readIPv4(packet, at: link) }
    return type == EtherType.ipv6 && readIPv6(packet, at: link)
  }

  @inline(__always) private mutating func readIPv4(_ packet: PacketContext, at link: Int) -> Bool {
    guard let front = packet.bytes(IPv4Header.byteCount &+ TCPHeader.byteCount, at: link) else { return false }
    let network = IPv4Header(front)
    guard network.isPlain, network.proto == TCPHeader.protocolNumber, !network.isFragment else { return false }
    if !network.isChecksumRight { return false }
    flow.remoteAddress = IPAddress(ipv4: network.source)
    flow.localAddress = IPAddress(ipv4: network.destination)
    networkLength = UInt8(IPv4Header.byteCount)
    return readTransport(
      packet, TCPHeader(front + IPv4Header.byteCount),
      length: UInt32(network.totalLength) &- UInt32(IPv4Header.byteCount))
  }

  /// What has extension headers, fragments and jumbograms among it, names another header than TCP's as the next one.
  @inline(__always) private mutating func readIPv6(_ packet: PacketContext, at link: Int) -> Bool {
    guard let front = packet.bytes(IPv6Header.byteCount &+ TCPHeader.byteCount, at: link) else { return false }
    let network = IPv6Header(front)
    guard network.isVersion6, network.nextHeader == TCPHeader.protocolNumber else { return false }
    flow.remoteAddress = network.source
    flow.localAddress = network.destination
    // An IPv4-mapped address is none that a packet may carry (RFC 4038 section 4.2), and here it would be taken for IPv4.
    if flow.remoteAddress.isIPv4 || flow.localAddress.isIPv4 { return false }
    networkLength = UInt8(IPv6Header.byteCount)
    return readTransport(
      packet, TCPHeader(front + IPv6Header.byteCount), length: UInt32(network.payloadLength))
  }

  /// - Parameter length: of the segment, as the network header says.
  @inline(__always)
  private mutating func readTransport(_ packet: PacketContext, _ transport: TCPHeader, length: UInt32) -> Bool {
    let header = transport.headerLength
    // A frame may be padded behind the datagram; a datagram longer than its frame is nobody's.
    guard header >= 20, length >= UInt32(header), length <= 0xffff else { return false }
    guard length &+ transportOffset <= packet.length else { return false }
    flow.remotePort = transport.sourcePort
    flow.localPort = transport.destinationPort
    sequence = transport.sequence
    acknowledgement = transport.acknowledgement
    flags = transport.flags
    window = transport.window
    headerLength = header
    payloadLength = UInt16(truncatingIfNeeded: length) &- header
    headerSum = Checksum()
    headerSum.addPseudoHeader(
      flow.remoteAddress, flow.localAddress, segmentLength: UInt16(truncatingIfNeeded: length))
    for word in 0..<5 { headerSum.add(transport.base.word32(word &* 4)) }
    options = SegmentOptions()
    if headerLength >= UInt16(TCPHeader.byteCount) &+ TCPOption.timestampsByteCount && !flags.has(TCPFlags.syn) {
      readAlignedOptions(packet)
    }
    return true
  }

  @inline(__always) public var isIPv6: Bool { networkLength == UInt8(IPv6Header.byteCount) }
  /// Where the TCP header begins in the packet.
  @inline(__always) public var transportOffset: UInt32 { UInt32(linkLength) &+ UInt32(networkLength) }
  /// Where the payload begins in the packet.
  @inline(__always) public var payloadOffset: UInt32 { transportOffset &+ UInt32(headerLength) }
  /// What the segment takes of the sequence space.
  @inline(__always) public var sequenceLength: UInt32 {
    UInt32(payloadLength) &+ (flags.has(TCPFlags.fin) ? 1 : 0) &+ (flags.has(TCPFlags.syn) ? 1 : 0)
  }
  /// The sequence number behind the segment.
  @inline(__always) public var end: SequenceNumber { sequence &+ sequenceLength }
}
