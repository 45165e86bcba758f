import Conformance
import KernelTestSupport
import Testing

/// A script that cannot fail is no script: a server that does one thing wrong must be found out, by the right word.
@Suite struct RunnerTests {
  private static let script = Exchange("a request, twice", "RFC 9293 section 3.8.1") {
    client.connects(.linux)
    client.requests("/small")
    server.answers("/small", isLost: true)
    client.requests("/small", seq: .request)
    server.repeats("/small")
    client.acknowledges()
    server.isSilent()
  }

  @Test func `a server that does all as it must passes`() throws {
    try Runner.play(Self.script, in: FlawedServer(.none))
  }

  @Test(arguments: FlawedServer.Flaw.allCases.filter { $0 != .none })
  func `a server with a flaw is found out`(_ flaw: FlawedServer.Flaw) {
    let error = #expect(throws: Mismatch.self) { try Runner.play(Self.script, in: FlawedServer(flaw)) }
    #expect(error?.reason.contains(flaw.rawValue) == true, "\(error.map(String.init(describing:)) ?? "")")
    #expect(error?.transcript.isEmpty == false)
  }
}

/// The least server that satisfies the script, with one flaw.
final class FlawedServer: World {
  /// The raw value is a part of the reason the runner must give.
  enum Flaw: String, CaseIterable, Sendable {
    case none = ""
    case sequence = "seq 2, not 1"
    case acknowledgement = "ack 40, not 41"
    case foreignAcknowledgement = "never sent"
    case flags = "flags [.], not [P.]"
    case window = "the window is"
    case checksum = "TCP checksum"
    case body = "the body's"
    case status = "status 200"
    case option = "options"
    case missingTimestamp = "without timestamps"
    case echo = "ecr"
    case clock = "backwards"
    case late = "after 60.0 ms"
    case silence = "no segment came"
    case chatter = "nobody expects"
    case otherBytes = "of the stream differs"
  }

  let client = Endpoint.loopback(2, port: 1000)
  let server = Endpoint.loopback(1, port: 80)
  let hasKernel = false
  let mssMax: UInt16 = 1460
  private let flaw: Flaw
  private var answers = 0
  private var clock: UInt32 = 500
  private var arrivals: [SegmentInTime] = []

  init(_ flaw: Flaw) { self.flaw = flaw }

  private static let start: UInt32 = 0xffff_fff0

  func send(_ packet: Packet) throws {
    let echo = packet.options.lazy.compactMap { $0.bytes.count == 10 ? $0.bytes.word32(2) : nil }.first ?? 0
    if packet.flags == .syn {
      emit(packet, [.syn, .ack], Self.start, echo: echo)
    } else if !packet.payload.isEmpty {
      answers += 1
      if flaw == .silence { return }
      answer(packet, echo)
    } else if flaw == .chatter && answers == 2 {
      emit(packet, .ack, packet.acknowledgement, echo: echo)
    }
  }

  private func answer(_ packet: Packet, _ echo: UInt32) {
    var body = ServedFiles.body("/small")
    if flaw == .body { body[3] ^= 1 }
    let status = flaw == .status ? 500 : 200
    let date = flaw == .otherBytes ? answers : 1
    let head = "HTTP/1.1 \(status) OK\r\nContent-Length: \(body.count)\r\nDate: \(date)\r\n\r\n"
    emit(packet, flaw == .flags ? .ack : [.psh, .ack], Self.start &+ 1, echo: echo, Array(head.utf8) + body)
  }

  private func emit(
    _ packet: Packet, _ flags: SegmentFlags, _ sequence: UInt32, echo: UInt32,
    _ payload: [UInt8] = []
  ) {
    clock &+= flaw == .clock ? UInt32.max : 1
    let end = packet.sequence &+ UInt32(packet.payload.count) &+ (packet.flags == .syn ? 1 : 0)
    var reply = Packet.tcp(from: server, to: client, flags, sequence: sequence, acknowledgement: end, payload: payload)
    let value = TCPOptionBytes.timestamps(clock, echo: flaw == .echo && answers > 0 ? echo &- 1 : echo)
    reply.options =
      flags.contains(.syn)
      ? [.segmentSize(1460), .selectiveAcknowledgement, value, .noOperation, .windowScale(7)]
      : [.noOperation, .noOperation, value]
    reply.window = flags.contains(.syn) ? 64_240 : 64_240 >> 7
    if answers > 0 { spoil(&reply) }
    guard let segment = ReceivedSegment(reply.bytes) else { preconditionFailure("a packet that cannot be read") }
    arrivals.append(SegmentInTime(segment, after_ms: flaw == .late && answers > 0 ? 60 : 0.1))
  }

  private func spoil(_ reply: inout Packet) {
    switch flaw {
    case .sequence: reply.sequence &+= 1
    case .acknowledgement: reply.acknowledgement &-= 1
    case .foreignAcknowledgement: reply.acknowledgement &+= 1
    case .window: reply.window &+= 1
    case .checksum: reply.tcpChecksumError = 1
    case .option: reply.options.append(.selectiveAcknowledgement)
    case .missingTimestamp: reply.options = []
    default: break
    }
  }

  func receive(timeout_ms: Int) -> SegmentInTime? { arrivals.isEmpty ? nil : arrivals.removeFirst() }
  func pause(ms: Int) {}
  func isLeftToKernel() -> Bool { false }
  func replace(_ path: String) {}
  func setListener(isAccepting: Bool) {}
}
