import Contract
import KernelSockets
import KernelTestSupport

/// What became of a packet, to be looked at by checks.
struct Outcome: CustomStringConvertible {
  let verdict: Int32
  let packet: [UInt8]
  let counted: [String: Int]
  let events: [[UInt8]]
  let accessEvents: [LoggedRequest]
  /// The packet is as it was sent.
  let isUntouched: Bool
  /// The segment that goes back, and those that went before it.
  let reply: ReceivedSegment?
  let sent: [ReceivedSegment]

  static let next: Int32 = -1
  static let drop: Int32 = 2
  static let redirect: Int32 = 7

  init(_ result: MachineOutcome, sent: [UInt8]) {
    verdict = result.verdict
    packet = result.packet
    counted = result.counted
    events = result.events
    accessEvents = result.accessEvents
    isUntouched = result.packet == sent
    let segments = result.sent.compactMap { ReceivedSegment($0) }
    // Where everything is sent in copies, the packet itself is dropped.
    self.sent = result.verdict == Self.drop ? segments.dropLast() : segments
    reply = result.verdict == Self.redirect ? ReceivedSegment(result.packet) : segments.last
  }

  var description: String {
    let names = [Self.next: "next", Self.drop: "drop", Self.redirect: "redirect"]
    let counts = counted.sorted { $0.key < $1.key }.map { "\($0.key) +\($0.value)" }
    return "\(names[verdict] ?? "verdict \(verdict)"), counted \(counts)" + (reply.map { ", \($0)" } ?? "")
  }
}

/// A property of an outcome, with the name it has in a failure.
struct Check {
  let name: String
  let holds: (Outcome) -> Bool

  func and(_ other: Check) -> Check { Check(name: "\(name), \(other.name)") { holds($0) && other.holds($0) } }

  static func verdict(_ verdict: Int32, _ name: String) -> Check { Check(name: name) { $0.verdict == verdict } }

  /// Counted exactly so, and nothing else.
  static func counts(_ names: String...) -> Check { counts(names) }

  static func counts(_ names: [String]) -> Check {
    Check(name: "counted \(names)") { outcome in
      outcome.counted == Dictionary(names.map { ($0, 1) }, uniquingKeysWith: +)
    }
  }

  // MARK: Verdicts

  /// The kernel gets the packet as it came, and it was one of ours to leave.
  static var left: Check {
    Check(name: "left to the kernel") { $0.verdict == Outcome.next && $0.isUntouched }
      .and(counts("leftToKernel"))
  }
  /// It was never ours: not even counted.
  static var notOurs: Check {
    Check(name: "not ours") { $0.verdict == Outcome.next && $0.isUntouched }.and(counts())
  }

  static func dropped(_ reason: DropReason) -> Check {
    verdict(Outcome.drop, "dropped").and(counts(CounterNames.name(reason)))
  }

  /// Handed over, which the kernel refuses to packets on no wire: the packet goes on, untouched.
  static func handedOver(_ reason: HandoverReason) -> Check {
    Check(name: "handed over: \(reason)") { outcome in
      outcome.verdict == Outcome.next && outcome.isUntouched && outcome.counted["handovers"] == 1
        && outcome.counted[CounterNames.name(reason)] == 1
        && outcome.counted[CounterNames.name(DropReason.handoverRefused)] == 1
    }
  }

  // MARK: Replies

  /// A segment back to where the packet came from, its checksums right.
  static func reply(_ name: String, _ flags: SegmentFlags, _ holds: @escaping (ReceivedSegment) -> Bool = { _ in true })
    -> Check
  {
    Check(name: name) { outcome in
      guard let reply = outcome.reply else { return false }
      return reply.faults.isEmpty && reply.flowLabel == 0 && reply.flags == flags && reply.window == ReceiveWindow.size
        && holds(reply)
    }
  }

  /// With the MSS option and that size, or without any option. Two of them, if the SYN has come before.
  static func synAck(
    segmentSize: UInt16?, acknowledging acknowledgement: UInt32, isRepeated: Bool = false
  ) -> Check {
    reply("SYN-ACK with MSS \(segmentSize ?? 0)", [.syn, .ack]) {
      $0.segmentSize == segmentSize && $0.options.count == (segmentSize == nil ? 0 : 4)
        && $0.acknowledgement == acknowledgement && $0.payload.isEmpty
    }.and(isRepeated ? counts("handshakes", "retransmissions") : counts("handshakes"))
  }

  private static func bare(_ name: String, _ flags: SegmentFlags, _ sequence: UInt32, _ acknowledgement: UInt32)
    -> Check
  {
    reply(name, flags) {
      $0.sequence == sequence && $0.acknowledgement == acknowledgement && $0.payload.isEmpty && $0.options.isEmpty
    }
  }

  static func acknowledgement(_ sequence: UInt32, _ acknowledgement: UInt32) -> Check {
    bare("ACK", .ack, sequence, acknowledgement).and(counts("acknowledgements"))
  }
  static func challenge(_ sequence: UInt32, _ acknowledgement: UInt32) -> Check {
    bare("challenge ACK", .ack, sequence, acknowledgement).and(counts("challenges"))
  }
  static func finish(_ sequence: UInt32, _ acknowledgement: UInt32) -> Check {
    bare("FIN-ACK", [.fin, .ack], sequence, acknowledgement).and(counts("finishes"))
  }
  static func reset(_ sequence: UInt32, _ acknowledgement: UInt32) -> Check {
    bare("RST", [.rst, .ack], sequence, acknowledgement).and(counts("resets"))
  }

  /// The response, whole, in one segment; with our FIN if the connection ends with it.
  static func response(
    _ bytes: [UInt8], sequence: UInt32, acknowledging acknowledgement: UInt32, fin: Bool = false, again: Bool = false
  ) -> Check {
    let counters =
      again ? ["retransmissions"] : bytes.starts(with: "HTTP/1.1 304".utf8) ? ["hits", "notModified"] : ["hits"]
    return reply("response of \(bytes.count) bytes", fin ? [.fin, .psh, .ack] : [.psh, .ack]) {
      $0.payload == bytes && $0.sequence == sequence && $0.acknowledgement == acknowledgement && $0.options.isEmpty
    }.and(counts(counters))
  }
}
