/// A search for the listener of a connection: `struct bpf_sk_lookup` (include/uapi/linux/bpf.h), the one argument of a
/// program of the network namespace that the kernel asks before it looks for itself (BPF_PROG_TYPE_SK_LOOKUP).
public struct SocketLookup {
  public let raw: UnsafeMutableRawPointer
  @inline(__always) public init(_ raw: UnsafeMutableRawPointer) { self.raw = raw }

  /// `sizeof(struct bpf_sk_lookup)`
  public static var byteCount: Int { 72 }

  @inline(__always) public var isIPv4: Bool { word(8) == 2 }
  @inline(__always) public var isTCP: Bool { word(12) == 6 }
  /// In network byte order, 0 if the connection is of IPv6.
  @inline(__always) public var remoteIPv4: UInt32 { word(16) }
  @inline(__always) public var localIPv4: UInt32 { word(40) }
  /// A word, 0...3, of the address; 0 if the connection is of IPv4.
  @inline(__always) public func remoteIPv6(_ index: Int) -> UInt32 { word(20 &+ index &* 4) }
  @inline(__always) public func localIPv6(_ index: Int) -> UInt32 { word(44 &+ index &* 4) }
  /// Network byte order; the kernel has it in its own.
  @inline(__always) public var localPort: UInt16 { UInt16(truncatingIfNeeded: word(60)).bigEndian }
  /// Of the interface the packet came in by.
  @inline(__always) public var interfaceIndex: UInt32 { word(64) }

  @inline(__always) private func word(_ offset: Int) -> UInt32 { raw.load(fromByteOffset: offset, as: UInt32.self) }

  /// Makes the listener the one that is found. False if the kernel refused.
  @inline(__always) public func assign(_ listener: borrowing Socket) -> Bool {
    Helper.assignListener(raw, listener.raw) == 0
  }

  /// SK_PASS: the listener that was assigned, or else whatever the kernel finds.
  public static var pass: Int32 { 1 }
}
