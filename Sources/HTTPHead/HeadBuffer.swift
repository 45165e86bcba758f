import Contract
import Wire

/// A buffer with a request head at its front and what is known of the head behind it.
///
/// The parser keeps its state here, not in variables: in the kernel the buffer is a map's value, whose content the
/// verifier does not follow, so that the paths through the parser meet again after each step instead of
/// multiplying.
public struct HeadBuffer {
  /// Room for the head, for words that begin at its last byte, and for the results.
  public static var byteCount: Int { 2304 }

  public let base: UnsafeMutableRawPointer
  @inline(__always) public init(_ base: UnsafeMutableRawPointer) { self.base = base }
  @inline(__always) var bytes: UnsafeRawPointer { UnsafeRawPointer(base) }

  /// Positions in the buffer stay below 2048, which the verifier can see.
  static var mask: Int { Limits.headBytesMax &- 1 }
  @inline(__always) func word16(_ position: Int) -> UInt16 { (bytes + (position & Self.mask)).word16(0) }
  @inline(__always) func word64(_ position: Int) -> UInt64 { (bytes + (position & Self.mask)).word64(0) }

  // Where the results are. Line starts: one for each field line, one for the empty line, then a zero.
  private static var lineStartsOffset: Int { 2112 }
  @inline(__always) func lineStart(_ line: Int) -> Int {
    Int(bytes.word16(Self.lineStartsOffset &+ (line & 63) &* 2))
  }
  @inline(__always) func setLineStart(_ line: Int, _ position: Int) {
    base.put16(UInt16(truncatingIfNeeded: position), Self.lineStartsOffset &+ (line & 63) &* 2)
  }

  /// Hash of the path, not finished.
  @inline(__always) public var pathHash: UInt64 {
    get { bytes.word64(2240) }
    nonmutating set { base.put64(newValue, 2240) }
  }
  /// The path begins at `pathOffset` and has at most `Limits.pathBytesMax` bytes.
  public static var pathOffset: Int { 4 }
  @inline(__always) public var pathLength: Int {
    get { Int(bytes.word16(2248)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2248) }
  }
  @inline(__always) public var hostOffset: Int {
    get { Int(bytes.word16(2250)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2250) }
  }
  @inline(__always) public var hostLength: Int {
    get { Int(bytes.word16(2252)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2252) }
  }
  /// Minor version: 0 or 1.
  @inline(__always) public var minorVersion: UInt16 {
    get { bytes.word16(2254) }
    nonmutating set { base.put16(newValue, 2254) }
  }
  /// What Connection said: one of `ConnectionOption`.
  @inline(__always) public var connectionOption: UInt16 {
    get { bytes.word16(2256) }
    nonmutating set { base.put16(newValue, 2256) }
  }
  /// Always 0, which nobody but the buffer's owner knows: what starts from it is not followed by the verifier, where a
  /// variable that starts from a constant would be, value by value.
  @inline(__always) var zero: Int { Int(bytes.word16(2258)) }
  /// Bits of `HeadFault`.
  @inline(__always) var faults: UInt32 {
    get { bytes.word32(2260) }
    nonmutating set { base.put32(newValue, 2260) }
  }
  @inline(__always) var cursor: Int {
    get { Int(bytes.word16(2264)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2264) }
  }
  @inline(__always) var isScanned: Bool {
    get { bytes.word16(2266) != 0 }
    nonmutating set { base.put16(newValue ? 1 : 0, 2266) }
  }

  /// Bytes of the head, 18...`Limits.headBytesMax`. Whoever fills the buffer says it first, and compares it in a
  /// variable of his own: the parser only masks it, and a compiler that knows it to be compared drops the mask, which
  /// is what the verifier goes by.
  @inline(__always) public var length: Int {
    get { Int(bytes.word16(2268)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2268) }
  }
  /// "GET / HTTP/1.0" and two line ends.
  public static var lengthMin: Int { 18 }

  /// Whether the path is followed by a query, which is then part of what `pathLength` counts.
  @inline(__always) public var hasQuery: Bool {
    for step in 0..<32 {
      if step &* 8 >= pathLength { break }
      if ByteScan.holds(bytes.word64(Self.pathOffset &+ step &* 8), 0x3f, first: pathLength &- step &* 8) {
        return true
      }
    }
    return false
  }

  /// Whether the connection persists after the response (RFC 9112 section 9.3).
  @inline(__always) public var isPersistent: Bool {
    minorVersion == 1 ? connectionOption != ConnectionOption.close : connectionOption == ConnectionOption.keepAlive
  }
  /// HTTP/1.1 persists by itself; who says so may get an answer that says so, too.
  @inline(__always) public var saysKeepAliveNeedlessly: Bool {
    minorVersion == 1 && connectionOption == ConnectionOption.keepAlive
  }
  /// The variant of an object that answers this request.
  @inline(__always) public var variant: Int {
    (minorVersion == 1 ? 0 : 2) &+ (isPersistent ? 0 : 1)
  }
}

/// The connection options the parser knows.
public enum ConnectionOption {
  public static var none: UInt16 { 0 }
  public static var close: UInt16 { 1 }
  public static var keepAlive: UInt16 { 2 }
}

/// What is found amiss while fields are read; looked at once, after the last one.
enum HeadFault {
  static var malformed: UInt32 { 1 }
  static var conditional: UInt32 { 2 }
  static var field: UInt32 { 4 }
  static var connection: UInt32 { 8 }
}
