import KernelTestSupport

/// Plays one script in a world, and throws a ``Mismatch`` at the first step that does not come out as written.
///
/// A segment that no step expects is a mismatch, too, and some things must hold of every segment (``Runner/check``).
public struct Runner {
  let exchange: Exchange
  let world: any World
  /// Numbers of the client's bytes, and of the server's.
  var sent = SequenceSpace()
  var received = SequenceSpace()
  /// The number behind all the client ever sent.
  var sentEnd: UInt32 = 0
  /// What the client's SYN offered, and what the SYN-ACK agreed to.
  var offer = Offer()
  var hasTimestamps = false
  var hasWindowScale = false
  /// TSval of the client's next segment; 10 ms pass with each.
  var clock: UInt32
  /// TSval of the client's last SYN; of its last segment in order; and the largest of the server's so far.
  var synTimestamp: UInt32 = 0
  var lastTimestamp: UInt32 = 0
  var serverClock: UInt32?
  /// Every byte of the server's stream so far, by its distance from the initial sequence number.
  var stream: [UInt32: UInt8] = [:]
  /// What of it the client has got.
  var have: Set<UInt32> = []
  /// The host has forbidden timestamps since: its own TCP goes on without those that were agreed on.
  var areTimestampsForbidden = false
  /// The kernel's own TCP has answered on this connection.
  var isOfKernel = false
  /// Received of a server behind and not yet part of a response.
  var unread: [UInt8] = []
  var transcript: [String] = []
  var line: Int

  /// What must still be silent when a script is over.
  private static let silenceAtEnd_ms = 20

  private init(_ exchange: Exchange, _ world: any World) {
    self.exchange = exchange
    self.world = world
    line = exchange.line
    // Every script has numbers of its own, the same in every run, and some of them wrap around.
    let seed = exchange.name.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    var random = SplitMix64(seed: seed)
    clock = UInt32(truncatingIfNeeded: random.next())
    sent.start =
      random.below(3) == 0 ? UInt32.max - UInt32(random.below(300)) : UInt32(truncatingIfNeeded: random.next())
    sent.next = sent.start
  }

  public static func play(_ exchange: Exchange, in world: any World) throws {
    var runner = Runner(exchange, world)
    for step in exchange.steps {
      runner.line = step.line
      if !world.hasKernel, step.isOfKernel {
        guard world.isLeftToKernel() else { throw runner.mismatch("the packet should be left to the kernel") }
        return
      }
      try runner.perform(step.action)
    }
    runner.line = exchange.line
    try runner.expectSilence(for_ms: Self.silenceAtEnd_ms)
    try runner.leave()
  }

  private mutating func perform(_ action: Step.Action) throws {
    switch action {
    case .send(let sending): try send(sending)
    case .expect(let expectation): try expect(expectation)
    case .expectBurst(let burst): try expect(burst)
    case .serve(let service): try expect(service)
    case .silence(let for_ms, _): try expectSilence(for_ms: for_ms)
    case .pause(let ms): world.pause(ms: ms)
    case .replace(let path): try world.replace(path)
    case .listener(let isAccepting): try world.setListener(isAccepting: isAccepting)
    case .setting(let name, let value):
      try world.set(name, to: value)
      if name == "tcp_timestamps" { areTimestampsForbidden = value == 0 }
    }
  }

  func mismatch(_ reason: String) -> Mismatch { Mismatch(line: line, reason: reason, transcript: transcript) }

  // MARK: What the client does

  mutating func send(_ sending: Sending) throws {
    if let start = sending.start {
      sent.start = start
      sent.next = start
    }
    if let start = sending.clockStart { clock = start }
    let sequence = sent.absolute(sending.seq)
    let acknowledgement = sending.flags.contains(.ack) ? received.absolute(sending.ack) : 0
    clock &+= 10
    var packet = Packet.tcp(
      from: world.client, to: world.server, sending.flags, sequence: sequence, acknowledgement: acknowledgement,
      options: options(of: sending).map { .raw($0.bytes) }, payload: sending.data)
    packet.window = sending.window
    sending.spoilt?(&packet)
    note(packet, isLost: sending.isLost)
    if !sending.isLost { try world.send(packet) }
    // A SYN counts when it has been answered.
    if sending.flags.contains(.syn) {
      offer = sending.offer ?? Offer()
      return
    }
    let end = sequence &+ UInt32(sending.data.count) &+ (sending.flags.contains(.fin) ? 1 : 0)
    if Int32(bitPattern: end &- sentEnd) > 0 { sentEnd = end }
    if sequence == sent.next {
      if !sending.data.isEmpty { sent.message = sequence }
      sent.next = end
    }
  }

  private mutating func options(of sending: Sending) -> [SegmentOption] {
    if let offer = sending.offer {
      synTimestamp = clock
      return offer.options(clock: clock)
    }
    guard hasTimestamps, !sending.flags.contains(.rst), let value = sending.timestamp.value(at: clock) else {
      return sending.options
    }
    // RFC 7323 section 4.3: TS.Recent is not taken from what is out of order, or from the past.
    let isInOrder = Int32(bitPattern: sent.absolute(sending.seq) &- sent.next) <= 0
    if isInOrder && !sending.isLost && sending.spoilt == nil && Int32(bitPattern: value &- lastTimestamp) > 0 {
      lastTimestamp = value
    }
    return stamped(value) + selective(sending) + sending.options
  }

  /// A SACK option that names the segments the client says it has.
  private func selective(_ sending: Sending) -> [SegmentOption] {
    guard let held = sending.held else { return [] }
    var block: [UInt8] = []
    block.append32(received.segments[held.lowerBound - 1].lowerBound)
    block.append32(received.segments[held.upperBound - 1].upperBound)
    return [.noOperation, .noOperation, .sack(block)]
  }

  /// As RFC 7323 appendix A lays them out.
  private func stamped(_ value: UInt32) -> [SegmentOption] {
    [.noOperation, .noOperation, .timestamps(value: value, echo: serverClock ?? 0)]
  }

  /// Lets go of what is left of the connection, wherever it is.
  private mutating func leave() throws {
    if received.next == 0 { return }
    try send(Sending(flags: [.rst, .ack]))
  }

  // MARK: The transcript

  private mutating func note(_ packet: Packet, isLost: Bool) {
    let ack = packet.flags.contains(.ack) ? " ack \(received.relative(packet.acknowledgement))" : ""
    transcript.append(
      "client \(packet.flags) seq \(sent.relative(packet.sequence))\(ack) win \(packet.window) "
        + "\(SegmentOption.parse(packet.options.flatMap(\.bytes))) \(packet.payload.count) bytes"
        + (isLost ? ", lost" : ""))
  }

  mutating func note(_ arrival: SegmentInTime) {
    let segment = arrival.segment
    let time = (arrival.after_ms * 1000).rounded() / 1000
    transcript.append(
      "server \(segment.flags) seq \(received.relative(segment.sequence)) ack \(sent.relative(segment.acknowledgement)) "
        + "win \(segment.window) \(SegmentOption.parse(segment.options)) \(segment.payload.count) bytes, "
        + "after \(time) ms" + (segment.faults.isEmpty ? "" : " WRONG: \(segment.faults.joined(separator: ", "))"))
  }
}

extension Step {
  var isOfKernel: Bool {
    switch action {
    case .expect(let expectation): !expectation.isKernelPart
    case .silence(_, let isKernelPart): !isKernelPart
    case .serve, .listener: true
    default: false
    }
  }
}
