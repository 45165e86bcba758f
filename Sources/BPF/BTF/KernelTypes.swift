/// The types of the running kernel, from its BTF (Linux Documentation/bpf/btf.rst).
///
/// The names are not indexed: a question costs one pass over some 150 000 records, about a millisecond in a release
/// build, and only a few questions are asked.
public struct KernelTypes: Sendable {
  private let bytes: [UInt8]
  /// Offset of each type's record; [0] is `void`, which has none.
  private let records: [UInt32]
  private let strings: Range<Int>

  /// A member of a struct.
  public struct Member: Sendable, Equatable {
    /// From the start of the outermost struct.
    public let offset_bits: Int
    /// 0 unless the member is a bit field.
    public let bitFieldSize_bits: Int

    /// Of the byte the member begins in.
    public var offset_bytes: Int { offset_bits / 8 }
  }

  /// Reads `/sys/kernel/btf/vmlinux`.
  public init() throws(BPFError) {
    guard let bytes = contents(ofFile: "/sys/kernel/btf/vmlinux") else {
      throw .missingFeature(
        name: "type information (/sys/kernel/btf/vmlinux)", hint: "it must be built with CONFIG_DEBUG_INFO_BTF")
    }
    try self.init(bytes)
  }

  /// Takes the bytes of a BTF file.
  public init(_ bytes: [UInt8]) throws(BPFError) {
    let view = ByteView(bytes: bytes)
    let what = "the BTF header"
    guard try view.load(UInt16.self, at: 0, of: what) == 0xeb9f else { throw .malformedObject("not BTF") }
    let headerSize = UInt64(try view.load(UInt32.self, at: 4, of: what))
    let types = try view.range(
      at: headerSize + UInt64(try view.load(UInt32.self, at: 8, of: what)),
      size: UInt64(try view.load(UInt32.self, at: 12, of: what)), of: "BTF types")
    strings = try view.range(
      at: headerSize + UInt64(try view.load(UInt32.self, at: 16, of: what)),
      size: UInt64(try view.load(UInt32.self, at: 20, of: what)), of: "BTF strings")
    guard let last = strings.last, bytes[last] == 0 else { throw .malformedObject("BTF strings do not end") }
    var records: [UInt32] = [0]
    records.reserveCapacity(types.count / 24)
    let end = bytes.withUnsafeBytes { buffer in
      var position = types.lowerBound
      while types.upperBound - position >= 12 {
        let info = buffer.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self)
        guard let size = Self.trailerSize(info) else { break }
        records.append(UInt32(position))
        position += 12 + size
      }
      return position
    }
    guard end == types.upperBound else {
      throw .malformedObject("BTF has an unknown kind of type, or ends within one")
    }
    self.bytes = bytes
    self.records = records
  }

  public func hasFunction(_ name: String) -> Bool {
    functionIdentifier(name) != nil
  }

  /// The type identifier of a function, by which a program calls it.
  public func functionIdentifier(_ name: String) -> UInt32? {
    identifier(of: name, kinds: [Kind.function])
  }

  /// Where a member stands, also one of an anonymous struct or union within the struct.
  public func member(_ member: String, of structure: String) throws(BPFError) -> Member {
    guard let identifier = identifier(of: structure, kinds: [Kind.structure, Kind.union]) else {
      throw .notFound(kind: "kernel type", name: structure)
    }
    guard let found = find(Array(member.utf8), in: identifier, depth: 0) else {
      throw .notFound(kind: "kernel structure member", name: "\(structure).\(member)")
    }
    return found
  }

  /// BTF_KIND_…
  private enum Kind {
    static let structure: UInt32 = 4
    static let union: UInt32 = 5
    static let function: UInt32 = 12
  }

  /// Bytes that follow the 12 of `struct btf_type`, by kind and number of members.
  private static func trailerSize(_ info: UInt32) -> Int? {
    let count = Int(info & 0xffff)
    switch info >> 24 & 31 {
    case 1, 14, 17: return 4  // INT, VAR, DECL_TAG
    case 3: return 12  // ARRAY
    case 4, 5, 15, 19: return count * 12  // STRUCT, UNION, DATASEC, ENUM64
    case 6, 13: return count * 8  // ENUM, FUNC_PROTO
    case 2, 7, 8, 9, 10, 11, 12, 16, 18: return 0
    default: return nil
    }
  }

  /// The first type of that name and one of the kinds.
  private func identifier(of name: String, kinds: [UInt32]) -> UInt32? {
    let name = Array(name.utf8)
    return bytes.withUnsafeBytes { buffer in
      for identifier in 1..<max(1, records.count) {
        let position = Int(records[identifier])
        let kind = buffer.loadUnaligned(fromByteOffset: position + 4, as: UInt32.self) >> 24 & 31
        guard kinds.contains(kind) else { continue }
        if hasName(name, at: buffer.loadUnaligned(fromByteOffset: position, as: UInt32.self), buffer) {
          return UInt32(identifier)
        }
      }
      return nil
    }
  }

  private func hasName(_ name: [UInt8], at offset: UInt32, _ buffer: UnsafeRawBufferPointer) -> Bool {
    // With its terminator the name must end within the strings.
    guard Int(offset) < strings.count - name.count else { return false }
    let start = strings.lowerBound + Int(offset)
    return buffer[start + name.count] == 0 && buffer[start..<start + name.count].elementsEqual(name)
  }

  /// Depth is limited because BTF of unknown origin may nest a type in itself.
  private func find(_ name: [UInt8], in identifier: UInt32, depth: Int) -> Member? {
    guard records.indices.contains(Int(identifier)), identifier != 0, depth < 16 else { return nil }
    let position = Int(records[Int(identifier)])
    return bytes.withUnsafeBytes { buffer in
      func word(_ offset: Int) -> UInt32 { buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
      let info = word(position + 4)
      guard [Kind.structure, Kind.union].contains(info >> 24 & 31) else { return nil }
      // With the kind flag an offset is 24 bits and the size of a bit field 8.
      let hasBitFields = info >> 31 != 0
      for index in 0..<Int(info & 0xffff) {
        let member = position + 12 + index * 12
        let offset = Int(hasBitFields ? word(member + 8) & 0xff_ffff : word(member + 8))
        let size = hasBitFields ? Int(word(member + 8) >> 24) : 0
        if hasName(name, at: word(member), buffer) { return Member(offset_bits: offset, bitFieldSize_bits: size) }
        if hasName([], at: word(member), buffer), let inner = find(name, in: word(member + 4), depth: depth + 1) {
          return Member(offset_bits: offset + inner.offset_bits, bitFieldSize_bits: inner.bitFieldSize_bits)
        }
      }
      return nil
    }
  }
}
