/// An array of type BPF_F_MMAPABLE in this process's memory: what is written is there for the programs at once,
/// without a system call.
///
/// It may be used from several threads, but it locks nothing: whoever owns it sees to it that writers do not meet,
/// and that programs can tell a value that is being written (a generation before and after it, say).
public struct MappedArray: ~Copyable, @unchecked Sendable {
  private let mapping: MemoryMapping
  /// Elements.
  public let count: Int
  /// Bytes from one element to the next: the value's size, rounded up to 8.
  public let stride: Int

  /// The first element; valid as long as this value is.
  public var base: UnsafeMutableRawPointer { mapping.base }
  /// Of all elements.
  public var byteCount: Int { count * stride }

  init(_ map: MapHandle) throws(BPFError) {
    try map.require(.array, as: "array")
    guard map.definition.flags.contains(.mappable) else {
      throw .wrongMapType(map: map.name, expected: "mappable array (BPF_F_MMAPABLE)", actual: map.definition.type)
    }
    let count = Int(map.definition.maxEntries)
    let page = MemoryMapping.pageSize
    let mapping = try MemoryMapping(
      map.descriptor, offset: 0, byteCount: (count * map.valueStride + page - 1) / page * page, writable: true)
    self.mapping = mapping
    self.count = count
    stride = map.valueStride
  }

  /// The address of an element.
  public func address(of index: Int) -> UnsafeMutableRawPointer {
    precondition(index >= 0 && index < count, "a mapped array has no element \(index)")
    return mapping.base + index * stride
  }
}

extension LoadedObject {
  /// Maps the array of that identifier, which must have the flag BPF_F_MMAPABLE (1024).
  public func mappedArray(_ name: String) throws(BPFError) -> MappedArray {
    try MappedArray(map(name))
  }
}
