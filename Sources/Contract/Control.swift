import Wire

/// What the daemon tells the kernel part, one value in shared memory. 72 bytes.
public struct Control: Sendable, BitwiseCopyable {
  /// CLOCK_MONOTONIC of the last heartbeat, written by the task that drains file-change events, after draining.
  public var heartbeat_ns: UInt64 = 0
  /// CLOCK_REALTIME minus CLOCK_MONOTONIC, so that the kernel part knows the second its Date must name.
  public var realtimeOffset_ns: Int64 = 0
  /// Two keys of SYN cookies (SipHash-2-4, 128 bits each); `cookieKeySlot` says which one signs new cookies.
  public var cookieKey0: (UInt64, UInt64) = (0, 0)
  public var cookieKey1: (UInt64, UInt64) = (0, 0)
  /// Seed of the hash of paths: an attacker chooses paths, so it must not be guessable.
  public var pathSeed: UInt64 = 0
  public var cookieKeySlot: UInt32 = 0
  /// 1 on a clean stop: no new connections, every request is handed over.
  public var draining: UInt32 = 0
  /// What the kernel's sysctls allow in handshakes: bits of `HandshakeOptions`.
  public var handshakeOptions: UInt32 = 0
  /// What is told for the access log: bits of `AccessLogSwitch`.
  public var accessLog: UInt32 = 0
  public init() {}
}

/// The text of one second's Date, entry `second % Limits.datesKept_s` of its map. 48 bytes.
public struct DateEntry: Sendable, BitwiseCopyable {
  /// The second (CLOCK_REALTIME) this entry is for; any other value means that the text is not there.
  public var second: UInt64 = 0
  /// IMF-fixdate, 29 bytes, then zeros.
  public var text: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  /// Ones' complement sum of the text as if it began at an even offset, folded, as loaded from memory.
  public var checksum: UInt32 = 0
  public var reserved: UInt32 = 0
  public init() {}

  public static var textOffset: Int { 8 }
  public static var textLength: Int { 29 }
}

/// A local address and port the kernel part answers for; key of the listeners map. 20 bytes, network byte order.
public struct ListenerKey: Hashable, Sendable, BitwiseCopyable {
  public var address: IPAddress
  public var port: UInt16
  public var reserved: UInt16 = 0
  @inline(__always) public init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }
}

/// What stands behind a listener address. 24 bytes.
public struct Listener: Sendable, BitwiseCopyable {
  /// Where the server that takes handed-over connections listens (network byte order); of the same family.
  public var backendAddress: IPAddress
  public var backendPort: UInt16
  public var flags: UInt16
  /// The site of requests whose Host is not in the sites map.
  public var defaultSite: UInt16
  public var reserved: UInt16 = 0

  /// The server behind listens on the listener's own address: a new connection may be left to the kernel.
  public static var ownAddress: UInt16 { 1 }
  /// The Host field selects the site; a Host not in the sites map is handed over.
  public static var siteByHost: UInt16 { 2 }
  /// Only clients in the map of allowed prefixes are served.
  public static var onlyAllowed: UInt16 { 4 }
  /// Clients in the map of denied prefixes are not served.
  public static var notDenied: UInt16 { 8 }
  /// Only clients are answered that the map of routes reaches by the interface they come in on.
  public static var checksRoute: UInt16 { 16 }

  public init(backendAddress: IPAddress, backendPort: UInt16, flags: UInt16, defaultSite: UInt16) {
    self.backendAddress = backendAddress
    self.backendPort = backendPort
    self.flags = flags
    self.defaultSite = defaultSite
  }
}

/// A prefix of addresses; key of the maps of allowed and denied clients (`struct bpf_lpm_trie_key_u8`). 24 bytes.
///
/// The family stands in front and always counts, so that `::/0` has nothing to do with IPv4.
public struct PrefixKey: Hashable, Sendable, BitwiseCopyable {
  /// Bits that count, those of the family among them; in a look-up all.
  public var length: UInt32
  /// 4 or 6.
  public var family: UInt32
  public var address: IPAddress

  /// - Parameter length: bits of the 16 bytes of the address, 0...128.
  @inline(__always) public init(length: UInt32, address: IPAddress) {
    self.length = length &+ 32
    family = address.isIPv4 ? 4 : 6
    self.address = address
  }
}

/// Whom a local address talks to; key of the map of routes (`struct bpf_lpm_trie_key_u8`), whose value is the index of
/// the interface the kernel would send by. 36 bytes.
public struct RouteKey: Hashable, Sendable, BitwiseCopyable {
  /// Bits that count: all of the local address, and 0...128 of the remote one; in a look-up 256.
  public var length: UInt32
  /// Network byte order.
  public var localAddress: IPAddress
  public var remoteAddress: IPAddress
  @inline(__always) public init(length: UInt32, localAddress: IPAddress, remoteAddress: IPAddress) {
    self.length = length
    self.localAddress = localAddress
    self.remoteAddress = remoteAddress
  }

  /// A value for "not always by the same interface, or by none".
  public static var noInterface: UInt32 { 0 }
  /// A value for "by the interface it came in on", as it is with link-local addresses (RFC 4007 section 6).
  public static var sameInterface: UInt32 { .max }
}

/// A Host value as sent, padded with zeros; key of the sites map. 64 bytes.
public struct HostKey: Sendable, BitwiseCopyable {
  public var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) =
    (0, 0, 0, 0, 0, 0, 0, 0)
  public init() {}
}
