/// A packet to be sent: a TCP segment in an IPv4 or IPv6 datagram in an Ethernet frame, right in every byte unless it is
/// made wrong on purpose.
public struct Packet: Sendable {
  public var source: Endpoint
  public var destination: Endpoint
  public var flags: SegmentFlags
  public var sequence: UInt32
  public var acknowledgement: UInt32
  public var window: UInt16 = 64_240
  public var urgentPointer: UInt16 = 0
  public var options: [TCPOptionBytes] = []
  public var payload: [UInt8] = []

  // MARK: What makes it somebody else's, or wrong

  public var destinationMAC: [UInt8] = [0, 0, 0, 0, 0, 0]
  public var sourceMAC: [UInt8] = [2, 0, 0, 0, 0, 9]
  /// False: as on a device that carries bare datagrams.
  public var hasEthernet = true
  /// nil: the addresses'.
  public var etherType: UInt16?
  /// With IPv6, an extension header: that of destination options.
  public var ipOptions: [UInt8] = []
  public var proto: UInt8 = 6
  /// Flags and fragment offset: "don't fragment". With IPv6, an extension header, if it is a fragment.
  public var fragment: UInt16 = 0x4000
  /// Added to what the fields should say.
  public var totalLengthError: Int = 0
  public var ipChecksumError: UInt16 = 0
  public var tcpChecksumError: UInt16 = 0
  /// Bytes behind the datagram, as Ethernet pads short frames.
  public var padding: [UInt8] = []

  public static func tcp(
    from source: Endpoint, to destination: Endpoint, _ flags: SegmentFlags, sequence: UInt32,
    acknowledgement: UInt32 = 0, options: [TCPOptionBytes] = [], payload: [UInt8] = []
  ) -> Packet {
    Packet(
      source: source, destination: destination, flags: flags, sequence: sequence, acknowledgement: acknowledgement,
      options: options, payload: payload)
  }

  /// The packet with something changed.
  public func with(_ change: (inout Packet) -> Void) -> Packet {
    var packet = self
    change(&packet)
    return packet
  }

  public var bytes: [UInt8] {
    let segment = segmentBytes
    var frame: [UInt8] = []
    if hasEthernet {
      frame = destinationMAC + sourceMAC
      frame.append16(etherType ?? (source.isIPv6 ? 0x86dd : 0x0800))
    }
    if source.isIPv6 { return frame + ipv6Headers(length: segment.count) + segment + padding }
    return frame + header(length: 20 + ipOptions.count + segment.count) + ipOptions + segment + padding
  }

  /// RFC 8200 sections 3, 4.5 and 4.6.
  private func ipv6Headers(length: Int) -> [UInt8] {
    var extensions: [UInt8] = []
    var next = proto
    if fragment & 0x3fff != 0 {
      extensions = [next, 0]
      // The offset is in the upper 13 bits there; the last bit says that more follow.
      extensions.append16(fragment << 3 | (fragment >> 13 & 1))
      extensions.append32(0x1234)
      next = 44
    }
    if !ipOptions.isEmpty {
      // PadN, of four bytes.
      extensions = [next, 0, 1, 4, 0, 0, 0, 0] + extensions
      next = 60
    }
    var header: [UInt8] = [0x60, 0x0b, 0xad, 0xf1]
    header.append16(UInt16(truncatingIfNeeded: length + extensions.count + totalLengthError))
    return header + [next, 64] + source.addressBytes + destination.addressBytes + extensions
  }

  private func header(length: Int) -> [UInt8] {
    var header: [UInt8] = [0x40 | UInt8((20 + ipOptions.count) / 4), 0]
    header.append16(UInt16(truncatingIfNeeded: length + totalLengthError))
    header.append16(0x1234)
    header.append16(fragment)
    header += [64, proto, 0, 0]
    header.append32(source.address)
    header.append32(destination.address)
    let checksum = InternetChecksum.value(header + ipOptions) &+ ipChecksumError
    header.replaceSubrange(10..<12, with: [UInt8(checksum >> 8), UInt8(checksum & 255)])
    return header
  }

  private var segmentBytes: [UInt8] {
    var optionBytes = options.flatMap(\.bytes)
    while optionBytes.count % 4 != 0 { optionBytes.append(0) }
    var segment: [UInt8] = []
    segment.append16(source.port)
    segment.append16(destination.port)
    segment.append32(sequence)
    segment.append32(acknowledgement)
    segment += [UInt8((20 + optionBytes.count) / 4) << 4, flags.rawValue]
    segment.append16(window)
    segment.append16(0)
    segment.append16(urgentPointer)
    segment += optionBytes + payload
    let pseudo = Packet.pseudoHeader(source.addressBytes, destination.addressBytes, length: segment.count)
    let checksum = InternetChecksum.value(pseudo + segment) &+ tcpChecksumError
    segment.replaceSubrange(16..<18, with: [UInt8(checksum >> 8), UInt8(checksum & 255)])
    return segment
  }

  /// RFC 9293 section 3.1, and RFC 8200 section 8.1.
  static func pseudoHeader(_ source: [UInt8], _ destination: [UInt8], length: Int) -> [UInt8] {
    var header = source + destination
    if source.count == 4 {
      header += [0, 6]
      header.append16(UInt16(truncatingIfNeeded: length))
    } else {
      header.append32(UInt32(truncatingIfNeeded: length))
      header += [0, 0, 0, 6]
    }
    return header
  }
}

/// The control bits, written like tcpdump writes them.
public struct SegmentFlags: OptionSet, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let fin = SegmentFlags(rawValue: 0x01)
  public static let syn = SegmentFlags(rawValue: 0x02)
  public static let rst = SegmentFlags(rawValue: 0x04)
  public static let psh = SegmentFlags(rawValue: 0x08)
  public static let ack = SegmentFlags(rawValue: 0x10)
  public static let urg = SegmentFlags(rawValue: 0x20)
  public static let ece = SegmentFlags(rawValue: 0x40)
  public static let cwr = SegmentFlags(rawValue: 0x80)

  public var description: String {
    let names = ["F", "S", "R", "P", ".", "U", "E", "W"]
    return "[" + names.enumerated().filter { rawValue >> $0.offset & 1 != 0 }.map(\.element).joined() + "]"
  }
}

/// An option of a TCP header.
public struct TCPOptionBytes: Sendable {
  public let bytes: [UInt8]

  public static func raw(_ bytes: [UInt8]) -> Self { Self(bytes: bytes) }
  public static func segmentSize(_ size: UInt16) -> Self { Self(bytes: [2, 4, UInt8(size >> 8), UInt8(size & 255)]) }
  public static let noOperation = Self(bytes: [1])
  public static let selectiveAcknowledgement = Self(bytes: [4, 2])
  public static func windowScale(_ shift: UInt8) -> Self { Self(bytes: [3, 3, shift]) }
  public static func timestamps(_ value: UInt32, echo: UInt32 = 0) -> Self {
    var bytes: [UInt8] = [8, 10]
    bytes.append32(value)
    bytes.append32(echo)
    return Self(bytes: bytes)
  }
  /// As in every segment but a SYN (RFC 7323 appendix A).
  public static func alignedTimestamps(_ value: UInt32, echo: UInt32) -> [Self] {
    [.noOperation, .noOperation, .timestamps(value, echo: echo)]
  }
  /// What Linux offers, in its order.
  public static func linux(_ size: UInt16) -> [Self] {
    [segmentSize(size), selectiveAcknowledgement, timestamps(0x100), noOperation, windowScale(7)]
  }
}
