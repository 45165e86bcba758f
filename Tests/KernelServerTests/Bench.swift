import Contract
import Foundation
import KernelSockets
import KernelTestSupport
import Testing
import Wire

/// Runs the kernel part on the simulated and, where there is one, on the real kernel, in lockstep: the same objects,
/// the same packets, and the same outcome, byte for byte, or the test fails.
///
/// The wall clock stands still at `second`, half of it gone, unless a test moves it.
final class Bench {
  static var server: Endpoint { .loopback(1, port: 8080) }
  static let date = Array("Fri, 15 Jan 2027 08:00:00 GMT".utf8)
  private static let firstSecond: UInt64 = 1_800_000_000

  private let simulated = SimulatedMachine()
  let machines: [any Machine]
  /// What the control block holds but for the clocks.
  var control = Control()
  var second = Bench.firstSecond
  var heartbeatAge_ns: UInt64 = 0
  private var nextUnit: UInt32 = 1
  private var nextPort: UInt16 = 40_000
  nonisolated(unsafe) private static var benches: UInt64 = 0
  /// Misses are remembered for a second of a clock that both machines read at different times.
  var ignoresMissEvents = false
  /// The daemon does not read what it is told for the access log.
  var leavesAccessEvents = false

  init(onlySimulated: Bool = false) throws {
    Self.benches += 1
    machines = onlySimulated || KernelMachine.obstacle != nil ? [simulated] : [simulated, try KernelMachine.shared()]
    if !onlySimulated, let obstacle = KernelMachine.obstacle { Self.announceOnce(obstacle) }
    var random = SplitMix64(seed: Self.benches)
    control.cookieKey0 = (random.next(), random.next())
    control.cookieKey1 = (random.next(), random.next())
    control.pathSeed = random.next()
    control.handshakeOptions = HandshakeOptions.cookies
    for machine in machines { try machine.reset() }
    setClock()
    setDates()
    try listen()
  }

  /// Whether the real kernel takes part.
  var hasKernel: Bool { machines.count > 1 }
  /// The simulated kernel alone can be told to take connections over.
  var simulatedKernel: SimulatedMachine { simulated }

  nonisolated(unsafe) private static var isAnnounced = false
  private static func announceOnce(_ obstacle: String) {
    if isAnnounced { return }
    isAnnounced = true
    FileHandle.standardError.write(Data("SKIP the real kernel's half of KernelServerTests: \(obstacle)\n".utf8))
    if ProcessInfo.processInfo.environment["CI"] == "true" {
      Issue.record("the kernel part cannot be tested in the kernel here: \(obstacle)")
    }
  }

  // MARK: What the daemon does

  /// Answers for an address; by default the server's own, behind which a listener stands on the same address.
  func listen(
    on local: Endpoint = Bench.server, backend: Endpoint = Bench.server, flags: UInt16 = Listener.ownAddress,
    site: UInt16 = 0
  ) throws {
    let key = ListenerKey(address: local.key, port: local.port.bigEndian)
    let listener = Listener(
      backendAddress: backend.key, backendPort: backend.port.bigEndian, flags: flags, defaultSite: site)
    for machine in machines { try machine.setListener(key, listener) }
  }

  func register(host: String, site: UInt16) throws {
    var key = HostKey()
    withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: host.utf8) }
    for machine in machines { try machine.setSite(key, UInt32(site)) }
  }

  /// Puts a prefix of clients' addresses on a list.
  func list(_ address: UInt32, length: UInt32, isAllowed: Bool) throws {
    let prefix = PrefixKey(length: 96 + length, address: Endpoint(address, 0).key)
    for machine in machines { try machine.setPrefix(prefix, isAllowed: isAllowed) }
  }

  /// Puts `0.0.0.0/0` or `::/0` on a list.
  func listAll(of family: Family, isAllowed: Bool) throws {
    let prefix = PrefixKey(
      length: family == .ipv4 ? 96 : 0, address: family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress())
    for machine in machines { try machine.setPrefix(prefix, isAllowed: isAllowed) }
  }

  /// Makes a prefix of clients' addresses reachable from the server's by an interface; loopback's index is 1.
  func route(_ address: UInt32, length: UInt32, by interfaceIndex: UInt32, local: UInt32 = Bench.server.address) throws
  {
    let key = RouteKey(
      length: 128 + 96 + length, localAddress: Endpoint(local, 0).key, remoteAddress: Endpoint(address, 0).key)
    for machine in machines { try machine.setRoute(key, interfaceIndex) }
  }

  func listenMultipath(on port: UInt16) throws { for machine in machines { try machine.listenMultipath(on: port) } }

  /// Puts an object into the store. Returns its unit.
  @discardableResult func store(_ object: StoredObject) -> UInt32 {
    let hash = object.hash(seed: control.pathSeed)
    let record = object.record(hash: hash)
    let unit = nextUnit
    nextUnit += UInt32((record.count + Limits.recordAlignment - 1) / Limits.recordAlignment)
    precondition(Int(nextUnit) * Limits.recordAlignment <= MachineMemory.arenaByteCount, "the test's arena is full")
    for machine in machines {
      record.withUnsafeBytes {
        (machine.memory.arena + Int(unit) * Limits.recordAlignment).copyMemory(
          from: $0.baseAddress!, byteCount: $0.count)
      }
      let bucket = machine.memory.index + Int(IndexBucket.bucket(hash: hash)) * IndexBucket.byteCount
      let slots = bucket.assumingMemoryBound(to: UInt64.self)
      let free = (0..<IndexBucket.slotCount).first { slots[$0] == 0 }
      slots[free!] = IndexBucket.slot(hash: hash, unit: unit)
    }
    return unit
  }

  /// Takes an object out of the index.
  func remove(_ object: StoredObject) {
    let hash = object.hash(seed: control.pathSeed)
    for machine in machines {
      let bucket = machine.memory.index + Int(IndexBucket.bucket(hash: hash)) * IndexBucket.byteCount
      let slots = bucket.assumingMemoryBound(to: UInt64.self)
      for slot in 0..<IndexBucket.slotCount where IndexBucket.matches(slot: slots[slot], hash: hash) { slots[slot] = 0 }
    }
  }

  /// Changes the bytes of a record.
  func patch<Value: BitwiseCopyable>(unit: UInt32, offset: Int, _ value: Value) {
    for machine in machines {
      machine.memory.arena.storeBytes(
        of: value, toByteOffset: Int(unit) * Limits.recordAlignment + offset, as: Value.self)
    }
  }

  /// Writes the Date texts of 256 seconds around the present one.
  func setDates(_ text: [UInt8] = Bench.date) {
    for second in second - 128..<second + 128 { setDate(second, text) }
  }

  func setDate(_ second: UInt64, _ text: [UInt8]) {
    var entry = DateEntry()
    entry.second = second
    withUnsafeMutableBytes(of: &entry.text) { $0.copyBytes(from: text) }
    entry.checksum = UInt32(InternetChecksum.sum(text).bigEndian)
    for machine in machines {
      machine.memory.dates.storeBytes(
        of: entry, toByteOffset: Int(second % UInt64(Limits.datesKept_s)) * 48, as: DateEntry.self)
    }
  }

  // MARK: Connections

  func newClient() -> Endpoint {
    nextPort += 1
    return .loopback(2, port: nextPort)
  }

  func openSocket(from client: Endpoint) throws { for machine in machines { try machine.openSocket(from: client) } }

  func setConnection(_ flow: FlowKey, _ connection: Connection?) throws {
    for machine in machines { try machine.setConnection(flow, connection) }
  }

  /// The connection as the simulated kernel has it; the others have been compared.
  func connection(_ flow: FlowKey) -> Connection? { simulated.connection(flow) }

  static func flow(_ client: Endpoint, _ server: Endpoint = Bench.server) -> FlowKey {
    FlowKey(
      remoteAddress: client.key, localAddress: server.key,
      remotePort: client.port.bigEndian, localPort: server.port.bigEndian)
  }

  /// The cookie a SYN of this start gets.
  func cookie(_ client: Endpoint, start: UInt32, size: UInt16) -> UInt32 {
    let keys = CookieKeys(first: control.cookieKey0, second: control.cookieKey1, current: control.cookieKeySlot)
    return keys.proof(of: Self.flow(client), sizeIndex: SegmentSizes.index(of: size))
      .cookie(clientStart: SequenceNumber(start)).value
  }

  // MARK: Packets

  /// Sends a packet, compares what the machines make of it, and holds the checks against it.
  @discardableResult func send(
    _ packet: Packet, _ checks: Check..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try send(bytes: packet.bytes, flow: Self.flow(packet.source, packet.destination), sourceLocation)
    for check in checks {
      #expect(check.holds(outcome), "should be \(check.name), but is \(outcome)", sourceLocation: sourceLocation)
    }
    return outcome
  }

  func send(bytes: [UInt8], flow: FlowKey, _ sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    setClock()
    let results = try machines.map { try run(bytes, flow, on: $0) }
    for (machine, result) in zip(machines, results).dropFirst() where result.withoutTime != results[0].withoutTime {
      let detail =
        "\(machines[0].name): \(Outcome(results[0], sent: bytes)); \(machine.name): \(Outcome(result, sent: bytes))"
      Issue.record("the machines differ. \(detail)", sourceLocation: sourceLocation)
    }
    return Outcome(results[0], sent: bytes)
  }

  /// One clock for both, or a timestamp of the one machine would say nothing to the other.
  private func setClock() {
    if let real = machines.dropFirst().first { simulated.kernel.time_ns = real.now_ns }
  }

  private func run(_ bytes: [UInt8], _ flow: FlowKey, on machine: any Machine) throws -> MachineOutcome {
    let before = try machine.counters()
    var control = control
    let now_ns = machine.now_ns
    control.heartbeat_ns = now_ns - heartbeatAge_ns
    control.realtimeOffset_ns = Int64(second) * 1_000_000_000 + 500_000_000 - Int64(now_ns)
    machine.memory.control.storeBytes(of: control, as: Control.self)
    let result = try machine.run(bytes)
    var outcome = MachineOutcome(
      verdict: result.verdict, packet: result.packet,
      counted: CounterNames.differences(before, try machine.counters()),
      events: try machine.takeEvents().map(Self.cleaned), sent: try machine.takeSent(),
      connection: nil)
    if !leavesAccessEvents { outcome.accessEvents = try machine.takeAccessEvents().map { LoggedRequest($0) } }
    if var connection = try machine.connection(flow) {
      connection.responseSecond = 0
      connection.endedSecond = 0
      connection.timeoutTick = 0
      connection.roundTrip = 0
      outcome.connection = withUnsafeBytes(of: connection) { Array($0) }
    }
    if ignoresMissEvents {
      outcome.events = []
      for counter in [Counter.missEvents, .missEventsSuppressed] { outcome.counted["\(counter)"] = nil }
    }
    return outcome
  }

  /// Behind the host and the path an event holds what an earlier packet has left.
  private static func cleaned(_ event: [UInt8]) -> [UInt8] {
    var event = event
    let header = event.withUnsafeBytes { $0.loadUnaligned(as: MissEvent.self) }
    let hostEnd = MissEvent.hostOffset + Int(header.hostLength)
    let pathEnd = MissEvent.pathOffset + Int(header.pathLength)
    for index in Array(hostEnd..<MissEvent.pathOffset) + Array(pathEnd..<MissEvent.byteCount) { event[index] = 0 }
    return event
  }
}

extension Endpoint {
  /// The address as the kernel part's maps have it.
  var key: IPAddress {
    let bytes = (isIPv6 ? [] : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) + addressBytes
    return bytes.withUnsafeBytes { IPAddress($0.baseAddress!) }
  }
}

/// Runs every test twice: once over IPv4 and once over IPv6.
struct BothFamilies: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    for family in Family.allCases {
      try await Family.$current.withValue(family) { try await function() }
    }
  }
}

extension Trait where Self == BothFamilies {
  static var bothFamilies: Self { Self() }
}

extension Family {
  /// The MSS of those who name none, and the smallest the kernel takes over.
  static var segmentSizeMin: UInt16 { current == .ipv6 ? 1220 : 536 }
  /// What loopback's MTU of 65,536 bytes has room for.
  static var segmentSizeMax: UInt16 { current == .ipv6 ? 65_476 : 65_496 }
}
