/// The addresses of a look-up, in network byte order: `struct bpf_sock_tuple`, its IPv4 part. 12 bytes.
public struct SocketTuple: BitwiseCopyable, Sendable {
  public var sourceAddress: UInt32
  public var destinationAddress: UInt32
  public var sourcePort: UInt16
  public var destinationPort: UInt16
  @inline(__always)
  public init(sourceAddress: UInt32, destinationAddress: UInt32, sourcePort: UInt16, destinationPort: UInt16) {
    self.sourceAddress = sourceAddress
    self.destinationAddress = destinationAddress
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
  }

  /// Bytes of the IPv4 part, and of the IPv6 part, which has addresses of 16 bytes in the same order: by its length the
  /// kernel knows the family.
  public static var byteCount: UInt32 { 12 }
  public static var byteCountIPv6: UInt32 { 36 }
}

/// What the kernel is told of a connection it takes over: `struct bpf_tcp_req_attrs` (include/net/tcp.h). 20 bytes.
public struct RequestSocketAttributes: BitwiseCopyable, Sendable {
  /// The client's latest timestamp, and what ours is now, for connections with timestamps.
  public var receivedTimestamp: UInt32 = 0
  public var echoedTimestamp: UInt32 = 0
  /// The client's maximum segment size.
  public var segmentSizeMax: UInt16 = 0
  public var receiveWindowScale: UInt8 = 0
  public var sendWindowScale: UInt8 = 0
  public var hasECN: UInt8 = 0
  public var hasWindowScale: UInt8 = 0
  public var hasSACK: UInt8 = 0
  public var hasTimestamps: UInt8 = 0
  public var usesMicroseconds: UInt8 = 0
  public var reserved: (UInt8, UInt8, UInt8) = (0, 0, 0)
  public init() {}
}

/// A reference to a socket of the kernel, given back when the value goes away: the verifier refuses a program that
/// keeps one on any path.
public struct Socket: ~Copyable {
  let raw: UnsafeMutableRawPointer

  /// Takes over a reference.
  @inline(__always) init(_ raw: UnsafeMutableRawPointer) { self.raw = raw }

  /// The socket the kernel would give this packet's connection to: established, in TIME-WAIT, or a listener.
  ///
  /// - Parameter tuple: of `length` bytes, which is one of those `SocketTuple` names.
  @inline(__always) public init?(_ packet: PacketContext, _ tuple: UnsafeRawPointer, length: UInt32) {
    guard let raw = Helper.lookupSocket(packet.raw, tuple, length) else { return nil }
    self.raw = raw
  }

  deinit { Helper.releaseSocket(raw) }

  /// A listener (BPF_TCP_LISTEN, read from `struct bpf_sock`) that can take connections over. One of MPTCP cannot.
  @inline(__always) public var isListening: Bool {
    raw.load(fromByteOffset: 72, as: UInt32.self) == 10 && !Helper.isMultipath(raw)
  }

  /// Lets the listener take the connection over with this packet as its first data. The packet must then be left
  /// to the kernel. False if the kernel refused.
  @inline(__always) public func accept(_ packet: PacketContext, _ attributes: RequestSocketAttributes) -> Bool {
    guard let listener = Helper.tcpSocket(raw) else { return false }
    var attributes = attributes
    return Helper.assignRequestSocket(packet.raw, listener, &attributes, 20) == 0
  }
}
