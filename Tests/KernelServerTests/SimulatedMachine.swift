import BPFKernel
import Contract
import KernelSockets
import KernelTestSupport

@testable import KernelServer

/// The kernel part's own sources on the simulated kernel.
final class SimulatedMachine: Machine {
  let name = "simulated kernel"
  private(set) var kernel = SimulatedKernel()
  private(set) var memory: MachineMemory
  var now_ns: UInt64 { kernel.time_ns }

  init() {
    // The daemon chooses the arena's size before it loads the program; so do we.
    arenaMap.valueSize = UInt32(MachineMemory.arenaByteCount + Limits.arenaSlackBytes)
    arenaMask = UInt32(MachineMemory.arenaByteCount - Limits.recordAlignment)
    kernel.activate()
    memory = Self.memoryOfCurrentKernel()
  }

  private static func memoryOfCurrentKernel() -> MachineMemory {
    guard let control = Maps.control, let dates = Maps.dates.bytes(0), let index = Maps.index.bytes(0),
      let arena = Maps.arena
    else { preconditionFailure("an array of the program has no first entry") }
    return MachineMemory(control: control, dates: dates, index: index, arena: arena)
  }

  func reset() {
    kernel = SimulatedKernel()
    kernel.activate()
    kernel.listeningPorts = [Bench.server.port.bigEndian]
    // What the kernel says to a hand-over when a packet is on no wire (net/core/filter.c: not at tc ingress).
    kernel.assignResult = -22
    memory = Self.memoryOfCurrentKernel()
  }

  func setListener(_ key: ListenerKey, _ listener: Listener) {
    withUnsafeBytes(of: listener) { expectTrue(Maps.listeners.update(key, $0.baseAddress!)) }
  }

  func setSite(_ host: HostKey, _ site: UInt32) {
    withUnsafeBytes(of: site) { expectTrue(Maps.sites.update(host, $0.baseAddress!)) }
  }

  func setPrefix(_ prefix: PrefixKey, isAllowed: Bool) {
    let map = isAllowed ? Maps.allowed : Maps.denied
    withUnsafeBytes(of: UInt32(1)) { expectTrue(map.update(prefix, $0.baseAddress!)) }
  }

  func setRoute(_ key: RouteKey, _ interfaceIndex: UInt32) {
    withUnsafeBytes(of: interfaceIndex) { expectTrue(Maps.routes.update(key, $0.baseAddress!)) }
  }

  func listenMultipath(on port: UInt16) {
    kernel.listeningPorts.insert(port.bigEndian)
    kernel.multipathPorts.insert(port.bigEndian)
  }

  func setConnection(_ flow: FlowKey, _ connection: Connection?) {
    guard let connection else { return Connection.table.remove(flow) }
    withUnsafeBytes(of: connection) { expectTrue(Connection.table.update(flow, $0.baseAddress!)) }
  }

  func connection(_ flow: FlowKey) -> Connection? { Connection.table[flow]?.pointee }

  func counters() -> [UInt64] {
    let words = Maps.counters!.assumingMemoryBound(to: UInt64.self)
    return (0..<CounterLayout.count).map { words[$0] }
  }

  func takeEvents() -> [[UInt8]] {
    kernel.takeEvents(of: Maps.events.definition)
  }

  func takeAccessEvents() -> [[UInt8]] { kernel.takeEvents(of: Maps.accessEvents.definition) }

  func openSocket(from client: Endpoint) {
    // struct bpf_sock_tuple
    var tuple = client.addressBytes + Bench.server.addressBytes
    tuple.append16(client.port)
    tuple.append16(Bench.server.port)
    kernel.connections.insert(tuple)
  }

  func run(_ packet: [UInt8]) -> (verdict: Int32, packet: [UInt8]) {
    let outcome = kernel.run(ingress, packet: packet, type: Self.type(packet))
    precondition(kernel.references == 0, "a socket was not released")
    return outcome
  }

  func setInterface(_ index: UInt32) {
    withUnsafeBytes(of: UInt32(1)) { expectTrue(Maps.interfaces.update(index, $0.baseAddress!)) }
  }

  func run(lookup: [UInt8]) -> (verdict: Int32, isAssigned: Bool) {
    let outcome = kernel.run(KernelServer.lookup, lookup: lookup)
    precondition(kernel.references == 0, "a socket was not released")
    return outcome
  }

  func takeSent() -> [[UInt8]] {
    defer { kernel.sent = [] }
    return kernel.sent
  }

  /// What eth_type_trans makes of the destination address on loopback, whose own address is all zeros.
  private static func type(_ packet: [UInt8]) -> UInt32 {
    let address = packet.prefix(6)
    if address.allSatisfy({ $0 == 0 }) { return PacketContext.typeHost }
    if address.allSatisfy({ $0 == 0xff }) { return 1 }
    return address.first! & 1 != 0 ? 2 : 3
  }
}

private func expectTrue(_ value: Bool) { precondition(value, "a simulated map refused an update") }
