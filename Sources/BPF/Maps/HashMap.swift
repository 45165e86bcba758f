import Glibc

/// A hash map shared with programs; plain or LRU. Copies are the same map, usable from every thread: the kernel
/// makes each operation atomic for one element.
///
/// Keys compare by their bytes, so a key must have no padding between its members.
public struct HashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: Sendable {
  private let map: MapHandle

  public var maxEntries: Int { Int(map.definition.maxEntries) }

  /// When an update takes place (BPF_ANY, BPF_NOEXIST, BPF_EXIST).
  public enum Condition: UInt64, Sendable {
    case always = 0
    case ifAbsent = 1
    case ifPresent = 2
  }

  init(_ map: MapHandle) throws(BPFError) {
    try map.require(.hash, .lruHash, .prefixTrie, as: "hash")
    try map.requireKey(Key.self)
    try map.requireValue(Value.self)
    self.map = map
  }

  /// The value of a key. Of an LRU map this does not count as a use.
  public func lookup(_ key: Key) throws(BPFError) -> Value? {
    let keyBuffer = buffer(key)
    let value = MapBuffer(byteCount: Int(map.definition.valueSize))
    return try map.lookup(keyBuffer.pointer, value.pointer) ? value.load(Value.self) : nil
  }

  /// Sets the value of a key. Returns false if the condition does not hold.
  @discardableResult
  public func update(_ key: Key, _ value: Value, _ condition: Condition = .always) throws(BPFError) -> Bool {
    let keyBuffer = buffer(key)
    let valueBuffer = MapBuffer(byteCount: Int(map.definition.valueSize))
    valueBuffer.store(value)
    let result = Command.mapUpdate(
      map.descriptor.rawValue, key: keyBuffer.pointer, value: valueBuffer.pointer, flags: condition.rawValue)
    switch -result {
    case Int(EEXIST) where condition == .ifAbsent, Int(ENOENT) where condition == .ifPresent: return false
    case let code where code > 0: throw .failed("BPF_MAP_UPDATE_ELEM of \(map.name)", errno: Int32(code))
    default: return true
    }
  }

  /// Removes a key. Returns false if it was not there.
  @discardableResult
  public func delete(_ key: Key) throws(BPFError) -> Bool {
    let keyBuffer = buffer(key)
    let result = Command.mapDelete(map.descriptor.rawValue, key: keyBuffer.pointer)
    if result == -Int(ENOENT) { return false }
    guard result >= 0 else { throw .failed("BPF_MAP_DELETE_ELEM of \(map.name)", errno: Int32(-result)) }
    return true
  }

  /// All keys. While programs change the map some may be missing or come twice.
  public func keys() throws(BPFError) -> [Key] {
    var keys: [Key] = []
    let size = Int(map.definition.keySize)
    let current = MapBuffer(byteCount: size)
    let next = MapBuffer(byteCount: size)
    // A key that is deleted meanwhile makes the kernel begin anew: the count bounds that.
    for step in 0..<max(2 * maxEntries, 16) {
      let result = Command.mapNextKey(
        map.descriptor.rawValue, after: step == 0 ? nil : UnsafeRawPointer(current.pointer), next: next.pointer)
      if result == -Int(ENOENT) { break }
      guard result >= 0 else { throw .failed("BPF_MAP_GET_NEXT_KEY of \(map.name)", errno: Int32(-result)) }
      keys.append(next.load(Key.self))
      current.pointer.copyMemory(from: next.pointer, byteCount: size)
    }
    return keys
  }

  /// All entries, many with one system call where the kernel can (since Linux 5.6).
  public func entries() throws(BPFError) -> [(key: Key, value: Value)] {
    if let entries = try batchedEntries() { return entries }
    return try individualEntries()
  }

  func individualEntries() throws(BPFError) -> [(key: Key, value: Value)] {
    var entries: [(key: Key, value: Value)] = []
    for key in try keys() {
      if let value = try lookup(key) { entries.append((key, value)) }
    }
    return entries
  }

  /// Nil if the kernel cannot.
  func batchedEntries() throws(BPFError) -> [(key: Key, value: Value)]? {
    let keySize = Int(map.definition.keySize)
    let valueSize = Int(map.definition.valueSize)
    // A batch must hold a whole bucket of the hash table, else the kernel says ENOSPC.
    var room = min(max(maxEntries, 64), 4096)
    var keys = MapBuffer(byteCount: keySize * room)
    var values = MapBuffer(byteCount: valueSize * room)
    // The position is a bucket number of 4 bytes, whatever the size of a key.
    let position = MapBuffer(byteCount: max(keySize, 8))
    var entries: [(key: Key, value: Value)] = []
    var isFirst = true
    while true {
      var attributes = MapBatchAttributes(
        inBatch: isFirst ? 0 : UInt64(position.pointer), outBatch: UInt64(position.pointer),
        keys: UInt64(keys.pointer), values: UInt64(values.pointer), count: UInt32(room),
        mapDescriptor: UInt32(map.descriptor.rawValue))
      let result = Command.mapLookupBatch(&attributes)
      if result == -Int(ENOSPC), room < maxEntries {
        room = min(room * 4, maxEntries)
        keys = MapBuffer(byteCount: keySize * room)
        values = MapBuffer(byteCount: valueSize * room)
        continue
      }
      let isLast = result == -Int(ENOENT)
      if isFirst, !isLast, result < 0, result != -Int(EPERM) { return nil }
      guard result >= 0 || isLast else {
        throw .failed("BPF_MAP_LOOKUP_BATCH of \(map.name)", errno: Int32(-result))
      }
      for index in 0..<Int(attributes.count) {
        entries.append((keys.load(Key.self, at: index * keySize), values.load(Value.self, at: index * valueSize)))
      }
      if isLast { return entries }
      isFirst = false
    }
  }

  private func buffer(_ key: Key) -> MapBuffer {
    let buffer = MapBuffer(byteCount: Int(map.definition.keySize))
    buffer.store(key)
    return buffer
  }
}

extension LoadedObject {
  /// The hash map of that identifier. Throws `layoutMismatch` if the types do not have the kernel's sizes.
  public func hashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String, from key: Key.Type, to value: Value.Type
  ) throws(BPFError) -> HashMap<Key, Value> {
    try HashMap(map(name))
  }
}
