import BPFKernel
import Wire

/// A segment that answers a packet: the packet is rewritten and sent back where it came from.
public struct Reply: BitwiseCopyable {
  public var sequence: SequenceNumber
  public var acknowledgement: SequenceNumber
  /// Our timestamp and the client's (RFC 7323 section 3.2), sent where timestamps are agreed on.
  public var timestamp: UInt32 = 0
  public var echo: UInt32 = 0
  /// The window as it stands in the header.
  public var window = ReceiveWindow.size
  /// Bytes behind the headers, stored by the caller, and their folded sum.
  public var payloadLength: UInt16 = 0
  public var payloadSum: UInt16 = 0
  /// The maximum segment size to announce, on a SYN; 0: no option.
  public var segmentSize: UInt16 = 0
  public var flags: UInt8
  public var options = AgreedOptions.none

  @inline(__always)
  public init(sequence: SequenceNumber, acknowledgement: SequenceNumber, flags: UInt8) {
    self.sequence = sequence
    self.acknowledgement = acknowledgement
    self.flags = flags
  }

  /// Room the headers take in memory while they are composed, and where in it the TCP header is: those in front of it end
  /// there, whichever they are.
  public static var headersRoom: Int { 128 }
  private static var transportPlace: Int { 64 }

  /// Begins an answer to a packet: writes the link-layer header of all replies to it to `headers`.
  @inline(__always)
  public static func turnAround(
    _ packet: PacketContext, for segment: UnsafePointer<Segment>, headers: UnsafeMutableRawPointer
  ) -> Bool {
    let segment = segment.pointee
    if segment.linkLength == 0 { return true }
    guard let front = packet.bytes(EthernetHeader.byteCount, at: 0) else { return false }
    let network = segment.isIPv6 ? IPv6Header.byteCount : IPv4Header.byteCount
    EthernetHeader(front).emitReply(to: headers + (Self.transportPlace &- network &- EthernetHeader.byteCount))
    return true
  }

  /// Bytes of the TCP header.
  @inline(__always) var headerLength: UInt16 {
    var length = UInt16(TCPHeader.byteCount) &+ options.byteCount
    if segmentSize != 0 { length = length &+ 4 }
    if TCPFlags(rawValue: flags).has(TCPFlags.syn) && options.hasWindowScale { length = length &+ 4 }
    return length
  }
  /// Bytes of all headers of this answer to a segment.
  @inline(__always) public func headersByteCount(for segment: Segment) -> UInt32 {
    segment.transportOffset &+ UInt32(headerLength)
  }

  /// Makes the packet this reply, cut or grown to its length, its headers composed in `headers` behind those of the
  /// link. The caller stores the payload behind them afterwards.
  ///
  /// False: the packet could not be changed; it must be dropped.
  @inline(__always)
  public func write(
    to packet: PacketContext, for segment: UnsafePointer<Segment>, headers: UnsafeMutableRawPointer
  ) -> Bool {
    let length = headerLength
    let transport = headers + Self.transportPlace
    if segment.pointee.isIPv6 {
      IPv6Header.emit(
        to: transport - IPv6Header.byteCount, source: segment.pointee.flow.localAddress,
        destination: segment.pointee.flow.remoteAddress, payloadLength: length &+ payloadLength)
    } else {
      IPv4Header.emit(
        to: transport - IPv4Header.byteCount, source: segment.pointee.flow.localAddress.ipv4,
        destination: segment.pointee.flow.remoteAddress.ipv4,
        totalLength: UInt16(IPv4Header.byteCount) &+ length &+ payloadLength)
    }
    emitTransport(to: transport, for: segment, length: length, isPartial: packet.checksumState.isPartial)
    // The verifier must see that places and lengths are in their limits: they are not followed through memory.
    let shortest = UInt32(IPv4Header.byteCount)
    let transportOffset = segment.pointee.transportOffset
    let headersLength = shortest &+ ((transportOffset &- shortest) & 63) &+ UInt32(length & 63)
    let start = (Self.transportPlace &- Int(transportOffset)) & (Self.transportPlace &- 1)
    return packet.resize(to: headersLength &+ UInt32(payloadLength))
      && packet.store(0, from: UnsafeRawPointer(headers + start), length: headersLength)
  }

  /// Makes the packet the reply in the memory. Returns where its payload begins, 0 if the packet could not be changed.
  @inline(__always) public static func write(to packet: PacketContext, _ memory: SocketMemory) -> UInt32 {
    guard memory.reply.pointee.write(to: packet, for: memory.segment, headers: memory.headers) else { return 0 }
    return memory.reply.pointee.headersByteCount(for: memory.segment.pointee)
  }

  @inline(__always)
  private func emitTransport(
    to header: UnsafeMutableRawPointer, for segment: UnsafePointer<Segment>, length: UInt16, isPartial: Bool
  ) {
    header.put16(segment.pointee.flow.localPort, 0)
    header.put16(segment.pointee.flow.remotePort, 2)
    header.put32(sequence.value.bigEndian, 4)
    header.put32(acknowledgement.value.bigEndian, 8)
    let offsetAndFlags = (length << 10) | UInt16(flags)
    header.put16(offsetAndFlags.bigEndian, 12)
    header.put16(window.bigEndian, 14)
    header.put32(0, 16)
    // All the room options can take, so that all of it can be summed.
    for word in 0..<5 { header.put32(0, TCPHeader.byteCount &+ word &* 4) }
    emitOptions(to: header + TCPHeader.byteCount)

    var checksum = Checksum()
    checksum.addPseudoHeader(
      segment.pointee.flow.localAddress, segment.pointee.flow.remoteAddress, segmentLength: length &+ payloadLength)
    if isPartial {
      // Whoever sends the packet on adds the rest (CHECKSUM_PARTIAL in include/linux/skbuff.h).
      header.put16(checksum.folded, 16)
      return
    }
    let written = UnsafeRawPointer(header)
    for word in 0..<10 { checksum.add(written.word32(word &* 4)) }
    checksum.add(payloadSum)
    header.put16(checksum.complement, 16)
  }

  /// In the kernel's order (tcp_options_write): segment size, SACK, timestamps, window scale.
  @inline(__always) private func emitOptions(to place: UnsafeMutableRawPointer) {
    var place = place
    let isHandshake = TCPFlags(rawValue: flags).has(TCPFlags.syn)
    if segmentSize != 0 {
      place.put32((UInt32(TCPOption.maximumSegmentSize) << 24 | 4 << 16 | UInt32(segmentSize)).bigEndian, 0)
      place = place + 4
    }
    if !options.hasTimestamps { return }
    let sackPermitted = UInt32(TCPOption.sackPermitted) | 2 << 8 | 0x0a08_0000
    place.put32(isHandshake && options.hasSACK ? sackPermitted : SegmentOptions.alignedTimestamps, 0)
    place.put32(timestamp.bigEndian, 4)
    place.put32(echo.bigEndian, 8)
    if isHandshake && options.hasWindowScale {
      place.put32((0x0103_0300 | UInt32(ReceiveWindow.shift)).bigEndian, 12)
    }
  }
}
