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

  /// `nil`: not a plain TCP segment over IPv4 over Ethernet.
  public init?(_ frame: [UInt8]) {
    guard frame.count >= 54, frame.word16(12) == 0x0800, frame[14] == 0x45, frame[23] == 6 else { return nil }
    let headerLength = Int(frame[46] >> 4) * 4
    guard headerLength >= 20, frame.count >= 34 + headerLength else { return nil }
    destinationMAC = Array(frame[0..<6])
    sourceMAC = Array(frame[6..<12])
    source = Endpoint(frame.word32(26), frame.word16(34))
    destination = Endpoint(frame.word32(30), frame.word16(36))
    sequence = frame.word32(38)
    acknowledgement = frame.word32(42)
    flags = SegmentFlags(rawValue: frame[47])
    window = frame.word16(48)
    options = Array(frame[54..<34 + headerLength])
    payload = Array(frame[(34 + headerLength)...])
    faults = Self.faults(of: frame)
  }

  private static func faults(of frame: [UInt8]) -> [String] {
    var faults: [String] = []
    if Int(frame.word16(16)) != frame.count - 14 { faults.append("total length \(frame.word16(16))") }
    if InternetChecksum.sum(frame[14..<34]) != 0xffff { faults.append("IPv4 checksum") }
    let segment = frame[34...]
    let pseudo = Packet.pseudoHeader(frame.word32(26), frame.word32(30), length: segment.count)
    if InternetChecksum.sum(pseudo + segment) != 0xffff { faults.append("TCP checksum") }
    if frame[22] == 0 { faults.append("time to live 0") }
    if frame.word16(20) & 0x3fff != 0 { faults.append("fragment") }
    return faults
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
  public var timestampPlace: Int? { timestampOption.map { 54 + $0 + 2 } }
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
