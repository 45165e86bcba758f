import KernelTestSupport
import Wire

@testable import KernelSockets

/// A segment as `Segment.read` leaves it.
func segment(
  _ flags: SegmentFlags, sequence: UInt32, acknowledgement: UInt32, payload: Int = 0, headerLength: UInt16 = 20,
  options: SegmentOptions = SegmentOptions()
) -> Segment {
  Segment(
    flow: FlowKey(
      remoteAddress: IPAddress(ipv4: 1), localAddress: IPAddress(ipv4: 2), remotePort: 3, localPort: 4),
    sequence: SequenceNumber(sequence), acknowledgement: SequenceNumber(acknowledgement),
    flags: TCPFlags(rawValue: flags.rawValue), linkLength: 14, networkLength: 20, window: 64_240,
    headerLength: headerLength,
    payloadLength: UInt16(payload), headerSum: Checksum(), options: options)
}
