import Glibc

/// An array shared with programs. Copies are the same map. The kernel copies a value without a lock: a value that is
/// larger than a word may be seen half written.
public struct ArrayMap<Value: BitwiseCopyable>: Sendable {
  private let map: MapHandle

  public var count: Int { Int(map.definition.maxEntries) }

  init(_ map: MapHandle) throws(BPFError) {
    try map.require(.array, as: "array")
    try map.requireValue(Value.self)
    self.map = map
  }

  /// The value at an index below `count`.
  public func lookup(_ index: Int) throws(BPFError) -> Value {
    let value = MapBuffer(byteCount: Int(map.definition.valueSize))
    try map.lookup(index: index, value.pointer)
    return value.load(Value.self)
  }

  /// Sets the value at an index below `count`.
  public func update(_ index: Int, _ value: Value) throws(BPFError) {
    let buffer = MapBuffer(byteCount: Int(map.definition.valueSize))
    buffer.store(value)
    try map.update(index: index, buffer.pointer)
  }
}

/// An array of which each CPU has its own: counters that need no atomic operations.
public struct PerCPUArrayMap<Value: BitwiseCopyable>: Sendable {
  private let map: MapHandle
  private let possibleCPUs: Int

  public var count: Int { Int(map.definition.maxEntries) }

  init(_ map: MapHandle) throws(BPFError) {
    try map.require(.perCPUArray, as: "per-CPU array")
    try map.requireValue(Value.self)
    self.map = map
    possibleCPUs = try PossibleCPUs.count()
  }

  /// The values at an index below `count`, one for each possible CPU.
  public func lookup(_ index: Int) throws(BPFError) -> [Value] {
    let buffer = MapBuffer(byteCount: map.valueStride * possibleCPUs)
    try map.lookup(index: index, buffer.pointer)
    return (0..<possibleCPUs).map { buffer.load(Value.self, at: $0 * map.valueStride) }
  }

  /// Sets the value at an index below `count` for every possible CPU.
  public func update(_ index: Int, _ value: Value) throws(BPFError) {
    let buffer = MapBuffer(byteCount: map.valueStride * possibleCPUs)
    for cpu in 0..<possibleCPUs {
      withUnsafeBytes(of: value) {
        (buffer.pointer + cpu * map.valueStride).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
      }
    }
    try map.update(index: index, buffer.pointer)
  }
}

/// The CPUs a machine may ever have: per-CPU maps have a value for each, also for those that are off.
enum PossibleCPUs {
  static func count() throws(BPFError) -> Int {
    guard let bytes = contents(ofFile: "/sys/devices/system/cpu/possible"),
      let count = count(in: String(decoding: bytes, as: UTF8.self))
    else { throw .systemCall(name: "reading /sys/devices/system/cpu/possible", errno: EINVAL) }
    return count
  }

  /// Counts a list such as `0-3,8`. The kernel rounds nothing: it is the number of set bits.
  static func count(in list: String) -> Int? {
    var count = 0
    for part in list.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
      let bounds = part.split(separator: "-").compactMap { Int($0) }
      guard let first = bounds.first, let last = bounds.last, bounds.count <= 2, first <= last else { return nil }
      count += last - first + 1
    }
    return count > 0 ? count : nil
  }
}

extension MapHandle {
  func lookup(index: Int, _ value: UnsafeMutableRawPointer) throws(BPFError) {
    var key = UInt32(clamping: index)
    guard try lookup(&key, value) else { throw .notFound(kind: "element of \(name)", name: "\(index)") }
  }

  func update(index: Int, _ value: UnsafeRawPointer) throws(BPFError) {
    var key = UInt32(clamping: index)
    let result = Command.mapUpdate(descriptor.rawValue, key: &key, value: value, flags: 0)
    if result == -Int(E2BIG) { throw .notFound(kind: "element of \(name)", name: "\(index)") }
    guard result >= 0 else { throw .failed("BPF_MAP_UPDATE_ELEM of \(name)", errno: Int32(-result)) }
  }
}

extension LoadedObject {
  /// The array of that identifier. Throws `layoutMismatch` if the type does not have the kernel's size.
  public func array<Value: BitwiseCopyable>(
    _ name: String, of value: Value.Type
  ) throws(BPFError) -> ArrayMap<Value> {
    try ArrayMap(map(name))
  }

  /// The per-CPU array of that identifier. Throws `layoutMismatch` if the type does not have the kernel's size.
  public func perCPUArray<Value: BitwiseCopyable>(
    _ name: String, of value: Value.Type
  ) throws(BPFError) -> PerCPUArrayMap<Value> {
    try PerCPUArrayMap(map(name))
  }
}
