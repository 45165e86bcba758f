import BPF
import Contract
import Glibc
import KernelServerObject
import KernelSockets
import KernelSocketsHost
import KernelTestSupport

/// The kernel part in the running kernel, its packets on no wire (BPF_PROG_TEST_RUN), in a network namespace with a
/// real listener.
final class KernelMachine: Machine {
  let name = "real kernel"
  let program: Program
  private let lookup: Program
  let memory: MachineMemory
  private let namespace: TestNamespace
  private let arrays: Arrays
  private let listeners: HashMap<ListenerKey, Listener>
  private let sites: HashMap<HostKey, UInt32>
  private let allowed: HashMap<PrefixKey, UInt32>
  private let denied: HashMap<PrefixKey, UInt32>
  private let routes: HashMap<RouteKey, UInt32>
  private let interfaces: HashMap<UInt32, UInt32>
  private let connections: HashMap<FlowKey, Connection>
  private let words: PerCPUArrayMap<InlineArray<64, UInt64>>
  private let events: Events
  private let accessEvents: Events

  /// Where an array is mapped is valid as long as its `MappedArray` is, and that cannot be a tuple's member.
  private final class Arrays {
    let control: MappedArray
    let dates: MappedArray
    let index: MappedArray
    let arena: MappedArray

    init(_ loaded: borrowing LoadedObject) throws {
      control = try loaded.mappedArray("\(MapName.control)")
      dates = try loaded.mappedArray("\(MapName.dates)")
      index = try loaded.mappedArray("\(MapName.index)")
      arena = try loaded.mappedArray("\(MapName.arena)")
    }
  }

  private final class Events {
    var ring: RingBuffer
    init(_ ring: consuming RingBuffer) { self.ring = ring }
  }

  init() throws {
    var options = try LoadOptions.forSockets()
    options.setConstant("arenaMask", to: UInt32(MachineMemory.arenaByteCount - Limits.recordAlignment))
    let arenaSize = MachineMemory.arenaByteCount + Limits.arenaSlackBytes
    options.mapSizes["\(MapName.arena)"] = .init(valueSize: UInt32(arenaSize))
    var loaded = try LoadedObject(try ObjectFile(KernelServerImage.bytes), options: options)
    program = try loaded.program("apus_ingress")
    lookup = try loaded.program("apus_lookup")
    arrays = try Arrays(loaded)
    memory = MachineMemory(
      control: arrays.control.base, dates: arrays.dates.base, index: arrays.index.base, arena: arrays.arena.base)
    precondition(arrays.dates.stride == 48 && arrays.index.stride == 64)
    listeners = try loaded.hashMap("\(MapName.listeners)", from: ListenerKey.self, to: Listener.self)
    sites = try loaded.hashMap("\(MapName.sites)", from: HostKey.self, to: UInt32.self)
    allowed = try loaded.hashMap("\(MapName.allowed)", from: PrefixKey.self, to: UInt32.self)
    denied = try loaded.hashMap("\(MapName.denied)", from: PrefixKey.self, to: UInt32.self)
    routes = try loaded.hashMap("\(MapName.routes)", from: RouteKey.self, to: UInt32.self)
    interfaces = try loaded.hashMap("\(MapName.interfaces)", from: UInt32.self, to: UInt32.self)
    connections = try loaded.hashMap("\(MapName.connections)", from: FlowKey.self, to: Connection.self)
    words = try loaded.perCPUArray("\(MapName.counters)", of: InlineArray<64, UInt64>.self)
    events = Events(try loaded.ringBuffer("\(MapName.events)"))
    accessEvents = Events(try loaded.ringBuffer("\(MapName.accessEvents)"))
    namespace = try TestNamespace()
    try namespace.listen(on: Bench.server.port)
    try namespace.watchLoopback()
  }

  var now_ns: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  func reset() throws {
    namespace.closeConnections()
    for key in try listeners.keys() { try listeners.delete(key) }
    for key in try sites.keys() { try sites.delete(key) }
    for list in [allowed, denied] { for key in try list.keys() { try list.delete(key) } }
    for key in try routes.keys() { try routes.delete(key) }
    for key in try interfaces.keys() { try interfaces.delete(key) }
    for entry in try connections.entries() { try connections.delete(entry.key) }
    _ = takeEvents()
    _ = takeAccessEvents()
    _ = takeSent()
    memory.clear()
  }

  func setListener(_ key: ListenerKey, _ listener: Listener) throws { try listeners.update(key, listener) }
  func setSite(_ host: HostKey, _ site: UInt32) throws { try sites.update(host, site) }

  func setPrefix(_ prefix: PrefixKey, isAllowed: Bool) throws {
    try (isAllowed ? allowed : denied).update(prefix, 1)
  }

  func setRoute(_ key: RouteKey, _ interfaceIndex: UInt32) throws { try routes.update(key, interfaceIndex) }

  func listenMultipath(on port: UInt16) throws { try namespace.listenMultipath(on: port) }

  func setConnection(_ flow: FlowKey, _ connection: Connection?) throws {
    if let connection { try connections.update(flow, connection) } else { try connections.delete(flow) }
  }

  func connection(_ flow: FlowKey) throws -> Connection? { try connections.lookup(flow) }

  func counters() throws -> [UInt64] {
    var sum = [UInt64](repeating: 0, count: CounterLayout.count)
    for cpu in try words.lookup(0) { for index in sum.indices { sum[index] += cpu[index] } }
    return sum
  }

  func takeEvents() -> [[UInt8]] {
    var taken: [[UInt8]] = []
    events.ring.consume { taken.append(Array($0)) }
    return taken
  }

  func takeAccessEvents() -> [[UInt8]] {
    var taken: [[UInt8]] = []
    accessEvents.ring.drain { taken.append(Array($0)) }
    return taken
  }

  func openSocket(from client: Endpoint) throws { try namespace.connect(from: client, to: Bench.server) }

  func run(_ packet: [UInt8]) throws -> (verdict: Int32, packet: [UInt8]) {
    _ = takeSent()
    return try namespace.enter {
      let run = try OneCPU.run { try program.testRun(packet: packet) }
      return (Int32(bitPattern: run.returnValue), run.packet)
    }
  }

  func setInterface(_ index: UInt32) throws { try interfaces.update(index, 1) }

  func run(lookup: [UInt8]) throws -> (verdict: Int32, isAssigned: Bool) {
    let run = try namespace.enter { try self.lookup.testRun(lookup: lookup) }
    return (Int32(bitPattern: run.returnValue), run.isAssigned)
  }

  func takeSent() -> [[UInt8]] { namespace.takeSent() }

  // MARK: Whether there is one

  /// Why there is no real kernel to test with, or the machine. What the kernel refuses is an error, not an obstacle.
  nonisolated(unsafe) private static var made: Result<KernelMachine, any Error>?

  static let obstacle: String? = {
    if geteuid() != 0 { return "not root" }
    do { try Features.requireProgramLoading() } catch { return "\(error)" }
    return nil
  }()

  /// One machine for all tests, which run one after the other.
  static func shared() throws -> KernelMachine {
    if made == nil { made = Result { try KernelMachine() } }
    return try made!.get()
  }
}
