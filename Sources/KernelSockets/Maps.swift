import BPFKernel

// The maps every program that speaks TCP has. A definition is a constant expression: type, key size, value size, entries,
// flags, as numbers; tests hold them against the layouts of the Swift types.

/// `FlowKey` to `Connection`, least recently used ones forgotten first. A loader may choose another number of entries.
@section("maps") public nonisolated(unsafe) var connectionsMap: MapDefinition = (9, 36, 64, 131_072, 0)
/// This CPU's `SocketMemory`.
@section("maps") public nonisolated(unsafe) var socketMemoryMap: MapDefinition = (6, 4, 4096, 1, 0)

/// Cookies of the handshakes this CPU has answered last, for `RecentHandshakes`.
@section("maps") public nonisolated(unsafe) var recentHandshakesMap: MapDefinition = (6, 4, 4, 4096, 0)

extension Connection {
  /// The connections the program holds.
  @inline(__always) public static var table: HashMap<FlowKey, Connection> { HashMap(&connectionsMap) }
}

extension SocketMemory {
  /// That of this CPU; `nil` never happens, but the verifier wants it asked for.
  @inline(__always) public static var current: SocketMemory? {
    guard let base = ArrayMap<UInt8>(&socketMemoryMap).bytes(0) else { return nil }
    return SocketMemory(base + SocketMemory.frontRoom)
  }
}
