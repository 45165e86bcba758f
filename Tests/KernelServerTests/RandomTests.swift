import Contract
import Glibc
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  /// Thousands of packets nobody would send in this order: the simulated and the real kernel must make the same of
  /// each, byte for byte.
  @Suite struct RandomPackets {
    @Test("the machines agree on random packets", arguments: 1...12)
    func agree(seed: Int) throws {
      var traffic = try RandomTraffic(seed: UInt64(seed))
      for _ in 0..<800 { try traffic.step() }
      // Else the traffic would be too wild to reach anything.
      #expect(traffic.verdicts[Outcome.redirect, default: 0] > 80, "\(traffic.verdicts)")
      #expect(traffic.verdicts[Outcome.drop, default: 0] > 40, "\(traffic.verdicts)")
      #expect(traffic.verdicts[Outcome.next, default: 0] > 40, "\(traffic.verdicts)")
    }

    @Test("the machines understand the same heads, and refuse the others for the same reason", arguments: 1...2)
    func heads(seed: Int) throws {
      let bench = try Bench()
      bench.ignoresMissEvents = true
      for path in ["/", "/index.html", "/static/app.js", "/style.css"] { bench.store(.page(path, "x")) }
      var mutator = HeadMutator(seed: 900 + UInt64(seed))
      var hits = 0
      for _ in 0..<8000 {
        let client = Client(bench)
        var packet = client.request(Array(mutator.next().prefix(2100)))
        packet.acknowledgement = bench.cookie(client.local, start: client.next, size: 1460) &+ 1
        packet.sequence &+= 1
        hits += try bench.send(packet).counted["hits"] ?? 0
      }
      #expect((800..<7200).contains(hits), "\(hits) of 8000")
      // The next test shall not meet the limit of miss events a second.
      if bench.hasKernel { usleep(1_000_000) }
    }
  }
}

struct RandomTraffic {
  private let bench: Bench
  private var random: SplitMix64
  private var clients: [Client] = []
  var verdicts: [Int32: Int] = [:]

  private static let requests: [[UInt8]] = [
    get("/"), get("/"), get("/big"), get("/missing"), get("/", "Connection: close"), head("GET / HTTP/1.0"),
    get("/?q"), get("/") + get("/"), head("POST / HTTP/1.1"), get("/", "X: " + String(repeating: "x", count: 1300)),
    [0x47],
    head("GET /odd HTTP/1.0", "Connection: keep-alive"), get("/odd"),
  ]

  init(seed: UInt64) throws {
    bench = try Bench()
    bench.ignoresMissEvents = true
    random = SplitMix64(seed: seed)
    bench.store(.page("/", "x"))
    bench.store(.page("/odd", body: random.bytes(333)))
    bench.store(.page("/big", body: random.bytes(1200)))
    clients = (0..<4).map { _ in Client(bench, start: UInt32(truncatingIfNeeded: random.next())) }
  }

  mutating func step() throws {
    let index = random.below(clients.count)
    disturb()
    let packet = next(clients[index])
    var bytes = packet.bytes
    // Bits that flip on the way; mostly the checksums see it.
    if random.below(20) == 0 {
      for _ in 0...random.below(3) { bytes[14 + random.below(bytes.count - 14)] ^= 1 << UInt8(random.below(8)) }
    }
    let outcome = try bench.send(bytes: bytes, flow: clients[index].flow)
    verdicts[outcome.verdict, default: 0] += 1
    follow(packet, outcome, index)
  }

  /// The client believes what it gets, most of the time.
  private mutating func follow(_ packet: Packet, _ outcome: Outcome, _ index: Int) {
    guard let reply = outcome.reply, random.below(8) != 0 else { return }
    let ends: UInt32 = reply.flags.contains(.fin) || reply.flags.contains(.syn) ? 1 : 0
    clients[index].next = reply.acknowledgement
    clients[index].received = reply.sequence &+ UInt32(reply.payload.count) &+ ends
    if reply.flags.contains(.rst) || (reply.flags.contains(.fin) && random.below(2) == 0) {
      clients[index] = Client(bench, start: UInt32(truncatingIfNeeded: random.next()))
    }
  }

  private mutating func disturb() {
    switch random.below(60) {
    case 0: bench.heartbeatAge_ns = bench.heartbeatAge_ns == 0 ? 9_000_000_000 : 0
    case 1: bench.second += UInt64(random.below(3))
    case 2: bench.control.cookieKeySlot ^= 1
    case 3: bench.control.draining = random.below(4) == 0 ? 1 : 0
    case 4...8:
      bench.heartbeatAge_ns = 0
      bench.control.draining = 0
    default: break
    }
  }

  private mutating func next(_ client: Client) -> Packet {
    var packet: Packet
    let isNew = client.received == 0
    switch random.below(isNew ? 4 : 16) {
    case 0, 1: packet = client.segment(.syn, acknowledgement: 0, options: options())
    case 2: packet = client.segment()
    case 3: packet = client.segment([.fin, .ack])
    case 4: packet = client.segment(random.below(2) == 0 ? .rst : [.rst, .ack])
    case 5: packet = client.segment(sequence: client.next &- 1)
    default: packet = client.request(random.element(of: Self.requests), fin: random.below(12) == 0)
    }
    if random.below(5) == 0 { packet.sequence &+= offset() }
    if random.below(5) == 0 { packet.acknowledgement &+= offset() }
    if random.below(25) == 0 { packet.flags = SegmentFlags(rawValue: UInt8(truncatingIfNeeded: random.next())) }
    if random.below(25) == 0 { packet.options = options() }
    if random.below(25) == 0 { packet.window = UInt16(random.below(3000)) }
    if random.below(40) == 0 { packet.tcpChecksumError = 1 }
    if random.below(40) == 0 { packet.padding = random.bytes(random.below(9)) }
    if random.below(25) == 0 && !packet.payload.isEmpty {
      packet.payload[random.below(packet.payload.count)] = UInt8(truncatingIfNeeded: random.next())
    }
    if random.below(30) == 0 { packet.payload = Array(packet.payload.prefix(random.below(40))) }
    return packet
  }

  private mutating func offset() -> UInt32 {
    let near: [Int64] = [1, -1, 2, -30, 30, -300, 64_240, -64_240]
    return random.below(6) == 0
      ? UInt32(truncatingIfNeeded: random.next()) : UInt32(truncatingIfNeeded: random.element(of: near))
  }

  private mutating func options() -> [TCPOptionBytes] {
    switch random.below(6) {
    case 0: []
    case 1: TCPOptionBytes.linux(UInt16(500 + random.below(1100)))
    case 2: [.noOperation, .segmentSize(1460)]
    case 3: [.raw(random.bytes(random.below(41)))]
    default: [.segmentSize(UInt16(500 + random.below(9000)))]
    }
  }
}
