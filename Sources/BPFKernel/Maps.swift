/// What the loader reads of a map: five words in the section "maps". The variable's address is what the program
/// refers to, so it must be a variable; the kernel makes the map before the program runs.
public typealias MapDefinition = (type: UInt32, keySize: UInt32, valueSize: UInt32, entries: UInt32, flags: UInt32)

/// Map types and flags (include/uapi/linux/bpf.h). A map definition is a constant expression, so these stand
/// there as numbers; tests hold the definitions against the layouts of keys and values.
public enum MapType {
  public static var hash: UInt32 { 1 }
  public static var array: UInt32 { 2 }
  public static var perCPUArray: UInt32 { 6 }
  public static var lruHash: UInt32 { 9 }
  public static var socketMap: UInt32 { 15 }
  public static var ringBuffer: UInt32 { 27 }
  /// Longest-prefix match.
  public static var prefixTrie: UInt32 { 11 }
  /// BPF_F_NO_PREALLOC, which a prefix trie must have.
  public static var notPreallocated: UInt32 { 1 }
  /// BPF_F_MMAPABLE.
  public static var mappable: UInt32 { 1024 }
}

/// BPF_MAP_TYPE_ARRAY or BPF_MAP_TYPE_PERCPU_ARRAY.
public struct ArrayMap<Value: BitwiseCopyable> {
  let map: UnsafeRawPointer
  @inline(__always) public init(_ map: UnsafeRawPointer) { self.map = map }

  /// The entry's value, on a per-CPU array this CPU's; `nil` beyond the end.
  @inline(__always) public func bytes(_ index: UInt32) -> UnsafeMutableRawPointer? {
    var key = index
    return Helper.mapLookup(map, &key)
  }
  @inline(__always) public subscript(_ index: UInt32) -> UnsafeMutablePointer<Value>? {
    bytes(index)?.assumingMemoryBound(to: Value.self)
  }
}

/// BPF_MAP_TYPE_HASH or BPF_MAP_TYPE_LRU_HASH.
public struct HashMap<Key: BitwiseCopyable, Value: BitwiseCopyable> {
  let map: UnsafeRawPointer
  @inline(__always) public init(_ map: UnsafeRawPointer) { self.map = map }

  @inline(__always) public subscript(_ key: Key) -> UnsafeMutablePointer<Value>? {
    var key = key
    return Helper.mapLookup(map, &key)?.assumingMemoryBound(to: Value.self)
  }
  /// The value of a key that lies in a map's value or on the stack already.
  @inline(__always) public func value(at key: UnsafeRawPointer) -> UnsafeMutablePointer<Value>? {
    Helper.mapLookup(map, key)?.assumingMemoryBound(to: Value.self)
  }
  /// Inserts or replaces. False if the kernel refused.
  @inline(__always) public func update(_ key: Key, _ value: UnsafeRawPointer) -> Bool {
    var key = key
    return Helper.mapUpdate(map, &key, value, 0) == 0
  }
  /// Inserts or replaces, with a key that lies in a map's value or on the stack already.
  @inline(__always) public func update(at key: UnsafeRawPointer, _ value: UnsafeRawPointer) -> Bool {
    Helper.mapUpdate(map, key, value, 0) == 0
  }
  @inline(__always) public func remove(_ key: Key) {
    var key = key
    _ = Helper.mapDelete(map, &key)
  }
}

/// BPF_MAP_TYPE_SOCKMAP: sockets by number. One that is closed leaves it by itself.
public struct SocketMap {
  let map: UnsafeRawPointer
  @inline(__always) public init(_ map: UnsafeRawPointer) { self.map = map }

  @inline(__always) public func socket(_ index: UInt32) -> Socket? {
    var key = index
    guard let raw = Helper.mapLookup(map, &key) else { return nil }
    return Socket(raw)
  }
  /// Inserts or replaces. False if the kernel refused.
  @inline(__always) public func update(_ index: UInt32, _ socket: borrowing Socket) -> Bool {
    var key = index
    return Helper.mapUpdate(map, &key, socket.raw, 0) == 0
  }
}

/// BPF_MAP_TYPE_RINGBUF.
public struct EventRing {
  let map: UnsafeRawPointer
  /// What stands for the map in the program.
  @inline(__always) public var definition: UnsafeRawPointer { map }
  @inline(__always) public init(_ map: UnsafeRawPointer) { self.map = map }

  /// Copies an event to the reader. False if the ring is full: the event is lost.
  @inline(__always) public func send(_ event: UnsafeRawPointer, length: Int) -> Bool {
    Helper.ringOutput(map, event, UInt64(truncatingIfNeeded: length)) == 0
  }
}
