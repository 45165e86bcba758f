/// A segment taken apart again, with its checksums verified by `InternetChecksum`.
public struct ReceivedSegment: Sendable, CustomStringConvertible {
  public let source: Endpoint
  public let destination: Endpoint
  public let destinationMAC: [UInt8]
  public let sourceMAC: [UInt8]
  public let flags: SegmentFlags
  public let sequence: UInt32
  public let acknowledgement: UInt32
  public let window: UInt16
  public let options: [UInt8]
  public let payload: [UInt8]
  /// What is wrong with the packet: nothing, if it is a good one.
  public let faults: [String]

  /// Of an IPv6 header; 0 over IPv4.
  public let flowLabel: UInt32
  /// Where in the frame the TCP header is.
  public let transportPlace: Int

  /// `nil`: not a plain TCP segment over IPv4 or IPv6.
  ///
  /// - Parameter hasEthernet: false: the datagram alone, of a device without link-layer header.
  public init?(_ frame: [UInt8], hasEthernet: Bool = true) {
    let link = hasEthernet ? 14 : 0
    guard frame.count >= link + 40 else { return nil }
    let type = hasEthernet ? frame.word16(12) : frame[0] >> 4 == 6 ? 0x86dd : 0x0800
    if type == 0x0800, frame[link] == 0x45, frame[link + 9] == 6 {
      transportPlace = link + 20
    } else if type == 0x86dd, frame[link] >> 4 == 6, frame[link + 6] == 6, frame.count >= link + 60 {
      transportPlace = link + 40
    } else {
      return nil
    }
    let tcp = transportPlace
    let headerLength = Int(frame[tcp + 12] >> 4) * 4
    guard headerLength >= 20, frame.count >= tcp + headerLength else { return nil }
    destinationMAC = hasEthernet ? Array(frame[0..<6]) : []
    sourceMAC = hasEthernet ? Array(frame[6..<12]) : []
    func end(_ address: Range<Int>, port: Int) -> Endpoint {
      Endpoint(
        frame.word32(address.upperBound - 4), frame.word16(port),
        network: address.count == 16 ? Array(frame[address].prefix(12)) : nil)
    }
    let length = tcp == link + 20 ? 4 : 16
    flowLabel = length == 16 ? frame.word32(link) & 0xf_ffff : 0
    source = end(tcp - 2 * length..<tcp - length, port: tcp)
    destination = end(tcp - length..<tcp, port: tcp + 2)
    sequence = frame.word32(tcp + 4)
    acknowledgement = frame.word32(tcp + 8)
    flags = SegmentFlags(rawValue: frame[tcp + 13])
    window = frame.word16(tcp + 14)
    options = Array(frame[tcp + 20..<tcp + headerLength])
    payload = Array(frame[(tcp + headerLength)...])
    faults = length == 4 ? Self.faults(ipv4: frame, at: link) : Self.faults(ipv6: frame, at: link)
  }

  private static func faults(ipv4 frame: [UInt8], at link: Int) -> [String] {
    var faults: [String] = []
    let header = Array(frame[link..<link + 20])
    if Int(header.word16(2)) != frame.count - link { faults.append("total length \(header.word16(2))") }
    if InternetChecksum.sum(header) != 0xffff { faults.append("IPv4 checksum") }
    if header[8] == 0 { faults.append("time to live 0") }
    if header.word16(6) & 0x3fff != 0 { faults.append("fragment") }
    return faults + self.faults(ofSegment: frame[(link + 20)...], addresses: header[12...])
  }

  private static func faults(ipv6 frame: [UInt8], at link: Int) -> [String] {
    var faults: [String] = []
    let header = Array(frame[link..<link + 40])
    if Int(header.word16(4)) != frame.count - link - 40 { faults.append("payload length \(header.word16(4))") }
    if header[7] == 0 { faults.append("hop limit 0") }
    return faults + self.faults(ofSegment: frame[(link + 40)...], addresses: header[8...])
  }

  private static func faults(ofSegment segment: ArraySlice<UInt8>, addresses: ArraySlice<UInt8>) -> [String] {
    let half = addresses.count / 2
    let pseudo = Packet.pseudoHeader(
      Array(addresses.prefix(half)), Array(addresses.suffix(half)), length: segment.count)
    return InternetChecksum.sum(pseudo + segment) == 0xffff ? [] : ["TCP checksum"]
  }

  /// The segment size of the MSS option, which comes first.
  public var segmentSize: UInt16? {
    options.count >= 4 && options[0] == 2 && options[1] == 4 ? options.word16(2) : nil
  }
  /// TSval and TSecr, which are aligned (RFC 7323 appendix A).
  public var timestamps: (value: UInt32, echo: UInt32)? {
    timestampOption.map { (options.word32($0 + 2), options.word32($0 + 6)) }
  }
  /// Where in the frame TSval is.
  public var timestampPlace: Int? { timestampOption.map { transportPlace + 20 + $0 + 2 } }
  /// The shift count of the window scale option, which comes last.
  public var windowShift: UInt8? {
    options.count >= 4 && options.suffix(4).starts(with: [1, 3, 3]) ? options.last : nil
  }
  public var hasSACKPermitted: Bool {
    timestampOption.map { $0 >= 2 && options[$0 - 2] == 4 && options[$0 - 1] == 2 } ?? false
  }

  private var timestampOption: Int? {
    stride(from: 2, to: options.count - 9, by: 4).first { options[$0] == 8 && options[$0 + 1] == 10 }
  }

  public var description: String {
    "\(source) > \(destination) \(flags) seq \(sequence) ack \(acknowledgement) \(payload.count) bytes"
      + (faults.isEmpty ? "" : " WRONG: \(faults.joined(separator: ", "))")
  }
}
