import Glibc

/// A kernel for one program at a time, in memory: the maps, one packet, the sockets a look-up finds. Tests run the
/// kernel part's own sources against it and compare the outcome with that of the real kernel.
///
/// Not for several threads: each has a kernel of its own in use, so that suites can run at once.
public final class SimulatedKernel {
  /// The one in use on this thread.
  static var current: SimulatedKernel {
    if let pointer = pthread_getspecific(place) {
      return Unmanaged<SimulatedKernel>.fromOpaque(pointer).takeUnretainedValue()
    }
    let kernel = SimulatedKernel()
    kernel.activate()
    return kernel
  }
  private static let place: pthread_key_t = {
    var key = pthread_key_t()
    let code = pthread_key_create(&key) { Unmanaged<SimulatedKernel>.fromOpaque($0!).release() }
    precondition(code == 0, "no room for another key of threads")
    return key
  }()

  /// CLOCK_MONOTONIC as the program sees it.
  public var time_ns: UInt64 = 1_000_000_000_000
  /// What the next packet says of its checksum: CHECKSUM_NONE (0) to CHECKSUM_PARTIAL (3).
  public var checksumState: UInt8 = 0
  /// Of the device packets come in on: loopback's.
  public var deviceMTU: UInt32 = 65_536
  /// Bytes in front of the network header: Ethernet's.
  public var linkHeaderLength: UInt16 = 14
  /// Ports with a listener on every address, in network byte order.
  public var listeningPorts: Set<UInt16> = []
  /// Those of them that are of MPTCP, by port.
  public var multipathPorts: Set<UInt16> = []
  /// Connections the kernel has a socket for: their `struct bpf_sock_tuple`, of the length of its family.
  public var connections: Set<[UInt8]> = []
  /// What bpf_sk_assign_tcp_reqsk answers: 0 or a negative errno.
  public var assignResult: Int32 = 0
  /// Called after each copy into a packet: what another CPU does meanwhile.
  public var onStore: (() -> Void)?
  /// Attributes of the connections handed over so far.
  public private(set) var handedOver: [RequestSocketAttributes] = []
  /// Where the last packet that was sent went: out of that interface, to the neighbour the routes name or not.
  public var redirection: (interfaceIndex: UInt32, isToNeighbour: Bool) = (0, false)
  /// Whether the last search for a listener was answered by the program.
  public var isListenerAssigned = false
  /// Events sent to ring buffers and not taken.
  private var events: [UnsafeRawPointer: [[UInt8]]] = [:]
  /// Copies of packets sent while the program ran.
  public var sent: [[UInt8]] = []
  /// Socket references taken and not given back; 0 between packets.
  public private(set) var references = 0

  /// Behind what `struct bpf_sock` has.
  static let isMultipathOffset = 80

  var packet: [UInt8] = []
  private var maps: [UnsafeRawPointer: SimulatedMap] = [:]

  public init() {}

  /// Makes this the kernel the helpers act on, on this thread.
  public func activate() {
    let old = pthread_getspecific(Self.place)
    pthread_setspecific(Self.place, Unmanaged.passRetained(self).toOpaque())
    if let old { Unmanaged<SimulatedKernel>.fromOpaque(old).release() }
  }

  /// Runs a program on a packet.
  ///
  /// - Returns: what the program returned, and the packet as it left it.
  public func run(
    _ program: (UnsafeMutableRawPointer) -> Int32, packet bytes: [UInt8], type: UInt32 = 0, interfaceIndex: UInt32 = 1
  ) -> (verdict: Int32, packet: [UInt8]) {
    activate()
    packet = bytes
    let context = UnsafeMutableRawPointer.allocate(byteCount: 192, alignment: 8)
    defer { context.deallocate() }
    context.initializeMemory(as: UInt8.self, repeating: 0, count: 192)
    context.storeBytes(of: UInt32(bytes.count), toByteOffset: 0, as: UInt32.self)
    context.storeBytes(of: type, toByteOffset: 4, as: UInt32.self)
    context.storeBytes(of: UInt32(networkProtocol), toByteOffset: 16, as: UInt32.self)
    context.storeBytes(of: interfaceIndex, toByteOffset: 40, as: UInt32.self)
    let verdict = program(context)
    return (verdict, packet)
  }

  /// Asks a program for the listener of a connection.
  ///
  /// - Parameter lookup: a `struct bpf_sk_lookup`.
  /// - Returns: what the program returned, and whether it assigned a listener.
  public func run(
    _ program: (UnsafeMutableRawPointer) -> Int32, lookup: [UInt8]
  ) -> (verdict: Int32, isAssigned: Bool) {
    activate()
    isListenerAssigned = false
    var lookup = lookup
    let verdict = lookup.withUnsafeMutableBytes { program($0.baseAddress!) }
    return (verdict, isListenerAssigned)
  }

  /// What the device says of the packet, in network byte order: the Ethernet header's type, or, where there is none, the
  /// version of IP.
  private var networkProtocol: UInt16 {
    if linkHeaderLength == 14 && packet.count >= 14 {
      return packet.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 12, as: UInt16.self) }
    }
    return (packet.first.map { $0 >> 4 } == 6 ? 0x86dd : UInt16(0x0800)).bigEndian
  }

  /// The memory of an array's entry, or of a hash's value.
  public func value(_ map: UnsafeRawPointer, key: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
    let simulated = simulated(map)
    guard simulated.definition.type == MapType.socketMap else { return simulated.value(key) }
    return simulated.value(key) == nil ? nil : makeSocket(state: Self.listening)
  }

  @discardableResult
  public func update(_ map: UnsafeRawPointer, key: UnsafeRawPointer, value: UnsafeRawPointer) -> Int64 {
    simulated(map).update(key, value)
  }

  public func remove(_ map: UnsafeRawPointer, key: UnsafeRawPointer) -> Int64 { simulated(map).remove(key) }

  /// Entries of a hash.
  public func count(_ map: UnsafeRawPointer) -> Int { simulated(map).values.count }

  /// Takes the events sent to a ring buffer.
  public func takeEvents(of ring: UnsafeRawPointer) -> [[UInt8]] { events.removeValue(forKey: ring) ?? [] }

  /// A record has a header of 8 bytes and ends at a multiple of 8; the ring never fills up to its last byte
  /// (kernel/bpf/ringbuf.c, __bpf_ringbuf_reserve).
  func send(_ event: [UInt8], to ring: UnsafeRawPointer) -> Int64 {
    func room(_ event: [UInt8]) -> Int { (event.count + 8 + 7) & ~7 }
    let taken = events[ring, default: []].reduce(0) { $0 + room($1) }
    let size = Int(ring.load(as: MapDefinition.self).entries)
    guard taken + room(event) < size else { return -11 }
    events[ring, default: []].append(event)
    return 0
  }

  private func simulated(_ map: UnsafeRawPointer) -> SimulatedMap {
    if let known = maps[map] { return known }
    let made = SimulatedMap(map.load(as: MapDefinition.self))
    maps[map] = made
    return made
  }

  func socket(_ tuple: [UInt8]) -> UnsafeMutableRawPointer? {
    let isConnection = connections.contains(tuple)
    let port = tuple.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: tuple.count - 2, as: UInt16.self) }
    let isListener = listeningPorts.contains(port)
    guard isConnection || isListener else { return nil }
    let socket = makeSocket(state: isConnection ? Self.established : Self.listening)
    let isMultipath = multipathPorts.contains(port)
    socket.storeBytes(of: isMultipath ? 1 : 0, toByteOffset: Self.isMultipathOffset, as: UInt8.self)
    return socket
  }

  /// BPF_TCP_ESTABLISHED and BPF_TCP_LISTEN
  private static let established: UInt32 = 1
  private static let listening: UInt32 = 10

  /// A reference to a new `struct bpf_sock`, in that state.
  private func makeSocket(state: UInt32) -> UnsafeMutableRawPointer {
    references += 1
    let socket = UnsafeMutableRawPointer.allocate(byteCount: 88, alignment: 8)
    socket.initializeMemory(as: UInt8.self, repeating: 0, count: 88)
    socket.storeBytes(of: state, toByteOffset: 72, as: UInt32.self)
    return socket
  }

  func release(_ socket: UnsafeMutableRawPointer) {
    references -= 1
    socket.deallocate()
  }

  func assign(_ attributes: RequestSocketAttributes) -> Int32 {
    if assignResult == 0 { handedOver.append(attributes) }
    return assignResult
  }
}

/// A map's memory. Values stay where they are until they are removed, as the kernel's do.
final class SimulatedMap {
  let definition: MapDefinition
  let array: UnsafeMutableRawPointer?
  var values: [[UInt8]: UnsafeMutableRawPointer] = [:]

  init(_ definition: MapDefinition) {
    self.definition = definition
    let isArray = definition.type == MapType.array || definition.type == MapType.perCPUArray
    guard isArray else {
      array = nil
      return
    }
    let size = Int(definition.valueSize) * Int(definition.entries)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    array = memory
  }

  deinit {
    array?.deallocate()
    for value in values.values { value.deallocate() }
  }

  func value(_ key: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
    if definition.type == MapType.prefixTrie { return longestPrefix(of: key) }
    guard let array else { return values[bytes(key)] }
    let index = key.loadUnaligned(as: UInt32.self)
    return index < definition.entries ? array + Int(index) * Int(definition.valueSize) : nil
  }

  /// A key is the number of bits that count (in the machine's byte order), then the bits.
  private func longestPrefix(of key: UnsafeRawPointer) -> UnsafeMutableRawPointer? {
    let sought = bytes(key).dropFirst(4)
    func bits(_ entry: [UInt8]) -> Int { entry.withUnsafeBytes { Int($0.loadUnaligned(as: UInt32.self)) } }
    let matching = values.filter { entry, _ in
      zip(entry.dropFirst(4), sought).enumerated().allSatisfy { index, pair in
        let count = min(max(bits(entry) - index * 8, 0), 8)
        return (pair.0 ^ pair.1) >> UInt8(8 - count) == 0
      }
    }
    return matching.max { bits($0.key) < bits($1.key) }?.value
  }

  func update(_ key: UnsafeRawPointer, _ value: UnsafeRawPointer) -> Int64 {
    let size = Int(definition.valueSize)
    let known = array == nil ? values[bytes(key)] : self.value(key)
    let place = known ?? UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    place.copyMemory(from: value, byteCount: size)
    if array == nil { values[bytes(key)] = place }
    return 0
  }

  func remove(_ key: UnsafeRawPointer) -> Int64 {
    guard let value = values.removeValue(forKey: bytes(key)) else { return -2 }
    value.deallocate()
    return 0
  }

  private func bytes(_ key: UnsafeRawPointer) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: key, count: Int(definition.keySize)))
  }
}
