import BPFKernel
import Contract
import KernelSockets

// The program's maps, beside those of the library. A definition is a constant expression: type, key size, value size, entries, flags, as numbers.
// LayoutTests holds the numbers against `Contract` and against the layouts of the Swift types.

@section("maps") nonisolated(unsafe) var controlMap: MapDefinition = (2, 4, 72, 1, 1024)
@section("maps") nonisolated(unsafe) var datesMap: MapDefinition = (2, 4, 48, 256, 1024)
@section("maps") nonisolated(unsafe) var indexMap: MapDefinition = (2, 4, 64, 65536, 1024)
/// One value: the whole arena. The daemon chooses its size before it loads the program.
@section("maps") nonisolated(unsafe) var arenaMap: MapDefinition = (2, 4, 67_239_936, 1, 1024)
@section("maps") nonisolated(unsafe) var listenersMap: MapDefinition = (1, 20, 24, 1024, 0)
@section("maps") nonisolated(unsafe) var sitesMap: MapDefinition = (1, 64, 4, 256, 0)
@section("maps") nonisolated(unsafe) var allowedMap: MapDefinition = (11, 24, 4, 4096, 1)
@section("maps") nonisolated(unsafe) var deniedMap: MapDefinition = (11, 24, 4, 4096, 1)
@section("maps") nonisolated(unsafe) var routesMap: MapDefinition = (11, 36, 4, 16384, 1)
/// The listeners behind, where nobody listens on the addresses clients connect to; and the interfaces those are reached by.
@section("maps") nonisolated(unsafe) var listenersBehindMap: MapDefinition = (15, 4, 8, 2, 0)
@section("maps") nonisolated(unsafe) var interfacesMap: MapDefinition = (1, 4, 4, 1024, 0)
@section("maps") nonisolated(unsafe) var countersMap: MapDefinition = (6, 4, 512, 1, 0)
@section("maps") nonisolated(unsafe) var missFilterMap: MapDefinition = (2, 4, 8, 1024, 0)
@section("maps") nonisolated(unsafe) var eventsMap: MapDefinition = (27, 0, 0, 1_048_576, 0)
@section("maps") nonisolated(unsafe) var accessEventsMap: MapDefinition = (27, 0, 0, 4_194_304, 0)

/// Which bits of an offset are inside the arena: its size less one, less the alignment of records. A constant to
/// the verifier, written by the loader.
@section(".rodata.server") @used nonisolated(unsafe) public var arenaMask: UInt32 = 0x03ff_ffc0

/// The maps, typed.
enum Maps {
  @inline(__always) static var control: UnsafeMutablePointer<Control>? { ArrayMap<Control>(&controlMap)[0] }
  @inline(__always) static var dates: ArrayMap<DateEntry> { ArrayMap(&datesMap) }
  @inline(__always) static var index: ArrayMap<UInt64> { ArrayMap(&indexMap) }
  @inline(__always) static var arena: UnsafeMutableRawPointer? { ArrayMap<UInt8>(&arenaMap).bytes(0) }
  @inline(__always) static var listeners: HashMap<ListenerKey, Listener> { HashMap(&listenersMap) }
  /// The number of the site of a Host.
  @inline(__always) static var sites: HashMap<HostKey, UInt32> { HashMap(&sitesMap) }
  /// Longest-prefix match; the value means nothing.
  @inline(__always) static var allowed: HashMap<PrefixKey, UInt32> { HashMap(&allowedMap) }
  @inline(__always) static var denied: HashMap<PrefixKey, UInt32> { HashMap(&deniedMap) }
  /// Longest-prefix match: the index of the interface packets to a client leave by.
  @inline(__always) static var routes: HashMap<RouteKey, UInt32> { HashMap(&routesMap) }
  /// By `Backends.index`.
  @inline(__always) static var listenersBehind: SocketMap { SocketMap(&listenersBehindMap) }
  /// Interfaces the program is attached to, by their index; the value means nothing.
  @inline(__always) static var interfaces: HashMap<UInt32, UInt32> { HashMap(&interfacesMap) }
  @inline(__always) static var counters: UnsafeMutableRawPointer? { ArrayMap<UInt64>(&countersMap).bytes(0) }
  /// Hashes of what was reported missing, with the second it was.
  @inline(__always) static var missFilter: ArrayMap<UInt64> { ArrayMap(&missFilterMap) }
  @inline(__always) static var events: EventRing { EventRing(&eventsMap) }
  @inline(__always) static var accessEvents: EventRing { EventRing(&accessEventsMap) }
}
