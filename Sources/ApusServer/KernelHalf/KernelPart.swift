import BPF
import Contract
import Glibc
import KernelServerObject
import KernelSockets
import KernelSocketsHost
import Synchronization

/// The kernel part, loaded: its maps, opened and typed, and its program, not yet attached to anything.
final class KernelPart: Sendable {
  let program: Program
  let control: ControlBlock
  let storeMemory: StoreMemory
  let pathSeed: UInt64
  private let index: MappedArray
  private let arena: MappedArray
  private let listeners: HashMap<ListenerKey, Listener>
  private let sites: HashMap<HostKey, UInt32>
  private let allowed: HashMap<PrefixKey, UInt32>
  private let denied: HashMap<PrefixKey, UInt32>
  private let routes: HashMap<RouteKey, UInt32>
  private let interfaces: HashMap<UInt32, UInt32>
  private let connections: HashMap<FlowKey, Connection>
  private let counters: PerCPUArrayMap<CounterWords>
  private let events: Mutex<RingBuffer?>
  private let accessEvents: Mutex<RingBuffer?>
  private let object: Mutex<LoadedObject>

  /// A CPU's counters, as `CounterLayout` says.
  typealias CounterWords = InlineArray<64, UInt64>

  /// Loads the program.
  ///
  /// - Parameters:
  ///   - arenaBytes: size of the object store, a power of two.
  ///   - isLogged: whether there is to be room for what the access log is told.
  init(arenaBytes: Int, isLogged: Bool = false) throws(BPFError) {
    let file = try ObjectFile(KernelServerImage.bytes)
    var options = try Self.options(arenaBytes: arenaBytes)
    // The least a ring can have: a page, in this process's terms.
    if !isLogged {
      options.mapSizes["\(MapName.accessEvents)"] = .init(maxEntries: UInt32(sysconf(Int32(_SC_PAGESIZE))))
    }
    var loaded = try LoadedObject(file, options: options)
    program = try loaded.program("apus_ingress")
    pathSeed = SystemRandomNumberGenerator.random()
    control = ControlBlock(
      control: try loaded.mappedArray("\(MapName.control)"), dates: try loaded.mappedArray("\(MapName.dates)"),
      pathSeed: pathSeed)
    index = try loaded.mappedArray("\(MapName.index)")
    arena = try loaded.mappedArray("\(MapName.arena)")
    storeMemory = StoreMemory(index: index.base, arena: arena.base, arenaByteCount: arenaBytes)
    listeners = try loaded.hashMap("\(MapName.listeners)", from: ListenerKey.self, to: Listener.self)
    sites = try loaded.hashMap("\(MapName.sites)", from: HostKey.self, to: UInt32.self)
    allowed = try loaded.hashMap("\(MapName.allowed)", from: PrefixKey.self, to: UInt32.self)
    denied = try loaded.hashMap("\(MapName.denied)", from: PrefixKey.self, to: UInt32.self)
    routes = try loaded.hashMap("\(MapName.routes)", from: RouteKey.self, to: UInt32.self)
    interfaces = try loaded.hashMap("\(MapName.interfaces)", from: UInt32.self, to: UInt32.self)
    connections = try loaded.hashMap("\(MapName.connections)", from: FlowKey.self, to: Connection.self)
    counters = try loaded.perCPUArray("\(MapName.counters)", of: CounterWords.self)
    events = Mutex(try loaded.ringBuffer("\(MapName.events)"))
    accessEvents = Mutex(try loaded.ringBuffer("\(MapName.accessEvents)"))
    object = Mutex(loaded)
  }

  /// The program for the network namespace, for servers behind that listen elsewhere; loads it the first time.
  func lookup() throws(BPFError) -> Program {
    try object.withLock { object throws(BPFError) in try object.program("apus_lookup") }
  }

  private static func options(arenaBytes: Int) throws(BPFError) -> LoadOptions {
    var options = try LoadOptions.forSockets()
    options.setConstant("arenaMask", to: UInt32(arenaBytes - Limits.recordAlignment))
    options.mapSizes["\(MapName.arena)"] = .init(valueSize: UInt32(arenaBytes + Limits.arenaSlackBytes))
    return options
  }

  /// The events of the kernel part; for one reader, who takes them once.
  func takeEvents() -> RingBuffer? { events.withLock { $0.take() } }

  /// The same for the events of the access log.
  func takeAccessEvents() -> RingBuffer? { accessEvents.withLock { $0.take() } }

  /// Answers for these addresses and ports from now on, and for no others.
  func setListeners(_ wanted: [ListenerKey: Listener]) throws(BPFError) {
    for key in try listeners.keys() where wanted[key] == nil { _ = try listeners.delete(key) }
    for (key, listener) in wanted { _ = try listeners.update(key, listener) }
  }

  /// By which interfaces connections may come that the program leaves to the kernel.
  func setInterfaces(_ wanted: Set<UInt32>) throws(BPFError) {
    for index in try interfaces.keys() where !wanted.contains(index) { _ = try interfaces.delete(index) }
    for index in wanted { _ = try interfaces.update(index, 1) }
  }

  /// Which interface packets leave by, from local addresses to others.
  func setRoutes(_ wanted: [RouteKey: UInt32]) throws(BPFError) {
    for (key, interfaceIndex) in wanted { _ = try routes.update(key, interfaceIndex) }
    for key in try routes.keys() where wanted[key] == nil { _ = try routes.delete(key) }
  }

  /// Who is served, beside those that are in the lists already; to be called before listeners refer to the lists.
  func addClients(_ clients: ClientLists) throws(BPFError) {
    for prefix in clients.allowed { _ = try allowed.update(Self.key(of: prefix), 0) }
    for prefix in clients.denied { _ = try denied.update(Self.key(of: prefix), 0) }
  }

  /// Takes all others out of the lists; to be called when no listener refers any more to a list that becomes empty.
  func removeClients(except clients: ClientLists) throws(BPFError) {
    let (kept, keptOut) = (Set(clients.allowed.map(Self.key)), Set(clients.denied.map(Self.key)))
    for key in try allowed.keys() where !kept.contains(key) { _ = try allowed.delete(key) }
    for key in try denied.keys() where !keptOut.contains(key) { _ = try denied.delete(key) }
  }

  private static func key(of prefix: AddressPrefix) -> PrefixKey {
    PrefixKey(length: UInt32(prefix.lengthOfAll), address: prefix.address)
  }

  /// Requests with this Host are for that site.
  func setSite(_ site: UInt16, host: [UInt8]) throws(BPFError) {
    var key = HostKey()
    withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: host.prefix(Limits.hostBytesMax)) }
    _ = try sites.update(key, UInt32(site))
  }

  /// All CPUs' counters together, in the order of `CounterLayout`.
  func counts() throws(BPFError) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: CounterLayout.count)
    for cpu in try counters.lookup(0) {
      for index in words.indices { words[index] &+= cpu[index] }
    }
    return words
  }

  /// Connections the kernel part holds and neither side has closed.
  func openConnections() throws(BPFError) -> Int {
    try connections.entries().count {
      $0.value.state == ConnectionState.idle || $0.value.state == ConnectionState.answering
    }
  }
}

extension SystemRandomNumberGenerator {
  fileprivate static func random() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}
