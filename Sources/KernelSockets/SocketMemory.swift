import BPFKernel
import Wire

/// Memory of this CPU, for what is too large for the stack of 512 bytes. Nothing in it outlives the packet, but for what
/// the server keeps in its own part.
public struct SocketMemory {
  public let base: UnsafeMutableRawPointer
  @inline(__always) public init(_ base: UnsafeMutableRawPointer) { self.base = base }

  /// Bytes of a segment that are copied for the server to read; a longer one can only be handed over.
  public static var payloadBytesMax: Int { 2048 }
  /// Room in front of them for the server, so that what the client has sent can be passed on with a header as it lies.
  public static var frontRoom: Int { 64 }
  /// Room for them, and for what the server finds in them.
  public static var payloadRoom: Int { 2304 }
  /// Where the server's own part begins, and how long it is.
  public static var serverOffset: Int { 2784 }
  public static var serverRoom: Int { byteCount &- frontRoom &- serverOffset }
  /// Of all, the room in front among it.
  public static var byteCount: Int { 4096 }

  /// What the client has sent.
  @inline(__always) public var payload: UnsafeMutableRawPointer { base }
  @inline(__always) var headers: UnsafeMutableRawPointer { base + 2304 }
  @inline(__always) var options: UnsafeMutableRawPointer { base + 2432 }
  /// The segment being dealt with, the working copy of its connection, what is sent, and which part of a response: 512
  /// bytes of stack are not enough for copies of them at every level.
  @inline(__always) public var segment: UnsafeMutablePointer<Segment> {
    (base + 2504).assumingMemoryBound(to: Segment.self)
  }
  @inline(__always) public var connection: UnsafeMutablePointer<Connection> {
    (base + 2608).assumingMemoryBound(to: Connection.self)
  }
  @inline(__always) public var reply: UnsafeMutablePointer<Reply> {
    (base + 2672).assumingMemoryBound(to: Reply.self)
  }
  @inline(__always) public var part: UnsafeMutablePointer<ResponsePart> {
    (base + 2736).assumingMemoryBound(to: ResponsePart.self)
  }
  @inline(__always) public var payloadLength: StoredLength { StoredLength(base + 2760) }
  @inline(__always) var optionsLength: StoredLength { StoredLength(base + 2762) }
  @inline(__always) var responseLength: StoredLength { StoredLength(base + 2764) }
  /// The server's own part.
  @inline(__always) public var server: UnsafeMutableRawPointer { base + Self.serverOffset }
}

/// A length between 1 and a limit that is a power of two.
///
/// The verifier must see that the length of a copy is between 1 and a limit, and the compiler must not see that it has
/// been compared before, or it folds the comparisons into one the verifier learns nothing from. So a length is stored, and
/// read again after a helper call, the compiler not knowing what the call changes.
public struct StoredLength {
  public let place: UnsafeMutableRawPointer
  @inline(__always) public init(_ place: UnsafeMutableRawPointer) { self.place = place }

  @inline(__always) public func set(_ length: UInt16) { place.put16(length, 0) }
  @inline(__always) public var stored: UInt16 { UnsafeRawPointer(place).word16(0) }
  /// What was stored, if it is in the limits; something in the limits otherwise.
  @inline(__always) public func bounded(by limit: UInt32) -> UInt32 {
    ((UInt32(stored) &- 1) & (limit &- 1)) &+ 1
  }
}
