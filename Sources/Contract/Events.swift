/// What the kernel part tells the daemon through the ring buffer.
public enum EventKind {
  /// A request that could have been a hit was handed over because its object is not in the store.
  public static var miss: UInt16 { 1 }
}

/// A miss. 336 bytes: the header, then the Host value and the path as they were sent.
public struct MissEvent: Sendable, BitwiseCopyable {
  public var kind: UInt16 = 0
  public var site: UInt16 = 0
  public var hostLength: UInt16 = 0
  public var pathLength: UInt16 = 0
  public var reserved: UInt64 = 0
  public init() {}

  public static var hostOffset: Int { 16 }
  /// Room for `Limits.hostBytesMax` and a zero.
  public static var pathOffset: Int { 80 }
  /// Room for `Limits.pathBytesMax` and a zero.
  public static var byteCount: Int { 336 }
}
