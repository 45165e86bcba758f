/// A map as an object file defines it (in section `maps`: five words of 32 bits in this order).
public struct MapDefinition: Sendable, Equatable {
  /// The Swift identifier.
  public let name: String
  public let type: MapType
  /// In bytes.
  public let keySize: UInt32
  /// In bytes.
  public var valueSize: UInt32
  public var maxEntries: UInt32
  public let flags: MapFlags
}

/// enum bpf_map_type, as far as this library knows more of it than the number.
public struct MapType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let hash = MapType(rawValue: 1)
  public static let array = MapType(rawValue: 2)
  public static let perCPUArray = MapType(rawValue: 6)
  public static let lruHash = MapType(rawValue: 9)
  public static let prefixTrie = MapType(rawValue: 11)
  public static let socketMap = MapType(rawValue: 15)
  public static let ringBuffer = MapType(rawValue: 27)

  public var description: String {
    switch self {
    case .hash: "hash"
    case .array: "array"
    case .perCPUArray: "per-CPU array"
    case .lruHash: "LRU hash"
    case .prefixTrie: "prefix trie"
    case .socketMap: "socket map"
    case .ringBuffer: "ring buffer"
    default: "\(rawValue)"
    }
  }
}

/// BPF_F_… of BPF_MAP_CREATE.
public struct MapFlags: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// BPF_F_RDONLY_PROG: programs only read it.
  public static let readOnlyForPrograms = MapFlags(rawValue: 1 << 7)
  /// BPF_F_MMAPABLE
  public static let mappable = MapFlags(rawValue: 1 << 10)
}
