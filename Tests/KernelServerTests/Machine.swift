import Contract
import KernelSockets
import KernelTestSupport

/// Something that runs the kernel part: the simulated kernel, or the real one.
protocol Machine: AnyObject {
  var name: String { get }
  var memory: MachineMemory { get }
  /// CLOCK_MONOTONIC as the program sees it.
  var now_ns: UInt64 { get }

  /// Forgets connections, listeners, sites, and what the shared memory held.
  func reset() throws
  func setListener(_ key: ListenerKey, _ listener: Listener) throws
  func setSite(_ host: HostKey, _ site: UInt32) throws
  /// Puts a prefix on the list of allowed or of denied clients.
  func setPrefix(_ prefix: PrefixKey, isAllowed: Bool) throws
  /// The interface the daemon knows a route to lead by.
  func setRoute(_ key: RouteKey, _ interfaceIndex: UInt32) throws
  /// Listens with MPTCP, on every address, until the next reset.
  func listenMultipath(on port: UInt16) throws
  func setConnection(_ flow: FlowKey, _ connection: Connection?) throws
  func connection(_ flow: FlowKey) throws -> Connection?
  /// All CPUs' counters together, as `CounterLayout` says.
  func counters() throws -> [UInt64]
  func takeEvents() throws -> [[UInt8]]
  /// What was told for the access log.
  func takeAccessEvents() throws -> [[UInt8]]
  /// Gives the kernel a socket of its own for a connection from there to `Bench.server`.
  func openSocket(from client: Endpoint) throws
  /// The program is attached to the interface with that index.
  func setInterface(_ index: UInt32) throws
  func run(_ packet: [UInt8]) throws -> (verdict: Int32, packet: [UInt8])
  /// Looks for the listener of a connection: a `struct bpf_sk_lookup`.
  func run(lookup: [UInt8]) throws -> (verdict: Int32, isAssigned: Bool)
  /// Copies the program has sent while it ran.
  func takeSent() throws -> [[UInt8]]
}

/// What the daemon would map: the arrays it shares with the program.
struct MachineMemory {
  let control: UnsafeMutableRawPointer
  let dates: UnsafeMutableRawPointer
  let index: UnsafeMutableRawPointer
  let arena: UnsafeMutableRawPointer

  static let arenaByteCount = 256 << 10

  func clear() {
    (control).initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<Control>.stride)
    dates.initializeMemory(as: UInt8.self, repeating: 0, count: 48 * Limits.datesKept_s)
    index.initializeMemory(as: UInt8.self, repeating: 0, count: IndexBucket.byteCount * Limits.indexBucketsMax)
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: Self.arenaByteCount + Limits.arenaSlackBytes)
  }
}

/// What became of a packet.
struct MachineOutcome: Equatable {
  var verdict: Int32
  var packet: [UInt8]
  /// Names of what was counted, with how much more it is.
  var counted: [String: Int]
  var events: [[UInt8]]
  var accessEvents: [LoggedRequest] = []
  /// What was sent before the packet itself.
  var sent: [[UInt8]]
  /// The connection afterwards, byte for byte, but for the seconds of the clock.
  var connection: [UInt8]?
}

extension MachineOutcome {
  /// The machines have clocks of their own: our timestamp, or what is handed over for it, and the checksum it is in, which
  /// has been verified if the segment is a good one, do not count when they are compared.
  var withoutTime: MachineOutcome {
    var outcome = self
    outcome.packet = Self.withoutTime(packet, isOurs: verdict != Outcome.next)
    outcome.sent = sent.map { Self.withoutTime($0, isOurs: true) }
    return outcome
  }

  private static func withoutTime(_ frame: [UInt8], isOurs: Bool) -> [UInt8] {
    guard let segment = ReceivedSegment(frame), segment.faults.isEmpty, let value = segment.timestampPlace else {
      return frame
    }
    var frame = frame
    let checksum = segment.transportPlace + 16
    let time = isOurs ? value : value + 4
    for place in [checksum, checksum + 1, time, time + 1, time + 2, time + 3] { frame[place] = 0 }
    return frame
  }
}

enum CounterNames {
  static let all: [String] = {
    var names = (0..<CounterLayout.count).map { "word \($0)" }
    for counter in (0..<UInt32(Counter.count)).compactMap(Counter.init) { names[Int(counter.rawValue)] = name(counter) }
    for reason in HandoverReason.allCases { names[CounterLayout.handovers + Int(reason.rawValue)] = name(reason) }
    for reason in DropReason.allCases { names[CounterLayout.drops + Int(reason.rawValue)] = name(reason) }
    return names
  }()

  static func name(_ counter: Counter) -> String { "\(counter)" }
  static func name(_ reason: HandoverReason) -> String { "handover: \(reason)" }
  static func name(_ reason: DropReason) -> String { "drop: \(reason)" }

  static func differences(_ before: [UInt64], _ after: [UInt64]) -> [String: Int] {
    var differences: [String: Int] = [:]
    for index in before.indices where after[index] != before[index] {
      differences[all[index]] = Int(after[index]) - Int(before[index])
    }
    return differences
  }
}
