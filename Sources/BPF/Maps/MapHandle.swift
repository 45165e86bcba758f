import Glibc

/// A map in the kernel and what is known of it; what the typed maps are made of.
struct MapHandle: Sendable {
  let definition: MapDefinition
  let descriptor: Descriptor

  var name: String { definition.name }
  /// Bytes from one value of an array, or of a CPU, to the next: the kernel rounds up to 8.
  var valueStride: Int { (Int(definition.valueSize) + 7) & ~7 }

  init(creating definition: MapDefinition) throws(BPFError) {
    let result = Command.mapCreate(
      MapCreateAttributes(
        mapType: definition.type.rawValue, keySize: definition.keySize, valueSize: definition.valueSize,
        maxEntries: definition.maxEntries, mapFlags: definition.flags.rawValue, name: objectName(definition.name)))
    guard result >= 0 else { throw .failed("BPF_MAP_CREATE of \(definition.name)", errno: Int32(-result)) }
    self.definition = definition
    descriptor = Descriptor(Int32(result))
  }

  func require(_ types: MapType..., as expected: String) throws(BPFError) {
    guard types.contains(definition.type) else {
      throw .wrongMapType(map: name, expected: expected, actual: definition.type)
    }
  }

  /// Swift counts no padding after the last member, C does: both sizes are right.
  func requireKey<Key>(_ type: Key.Type) throws(BPFError) {
    try Self.require(type, size: definition.keySize, "key of \(name)")
  }

  func requireValue<Value>(_ type: Value.Type) throws(BPFError) {
    try Self.require(type, size: definition.valueSize, "value of \(name)")
  }

  private static func require<Element>(_ type: Element.Type, size: UInt32, _ what: String) throws(BPFError) {
    guard [MemoryLayout<Element>.size, MemoryLayout<Element>.stride].contains(Int(size)) else {
      throw .layoutMismatch(of: what, expected: Int(size), actual: MemoryLayout<Element>.size)
    }
  }

  /// Copies the value of a key to `value`, which has room for it. False: there is none.
  func lookup(_ key: UnsafeRawPointer, _ value: UnsafeMutableRawPointer) throws(BPFError) -> Bool {
    let result = Command.mapLookup(descriptor.rawValue, key: key, value: value)
    if result == -Int(ENOENT) { return false }
    guard result >= 0 else { throw .failed("BPF_MAP_LOOKUP_ELEM of \(name)", errno: Int32(-result)) }
    return true
  }
}

/// Memory for keys and values on their way to and from the kernel, zeroed and aligned to 8 bytes.
struct MapBuffer: ~Copyable {
  let pointer: UnsafeMutableRawPointer

  init(byteCount: Int) {
    pointer = .allocate(byteCount: byteCount + 8, alignment: 8)
    pointer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount + 8)
  }

  deinit {
    pointer.deallocate()
  }

  func store<Element: BitwiseCopyable>(_ element: Element) {
    withUnsafeBytes(of: element) { pointer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
  }

  func load<Element: BitwiseCopyable>(_ type: Element.Type, at offset: Int = 0) -> Element {
    (pointer + offset).loadUnaligned(as: type)
  }
}
