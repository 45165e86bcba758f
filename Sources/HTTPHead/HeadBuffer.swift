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

  // What is known of the method and of Accept-Encoding lies between the head and the line starts.

  /// Whether the method is HEAD; else it is GET.
  @inline(__always) public var isHead: Bool { methodExcess != 0 }
  /// How many bytes longer than GET the method is: 0 or 1.
  @inline(__always) var methodExcess: Int {
    get { Int(bytes.word16(2080) & 1) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2080) }
  }
  /// The codings Accept-Encoding asks for, once `readCodings` has been called.
  @inline(__always) public var codingOrder: CodingOrder {
    get { CodingOrder(rawValue: bytes.word16(2082)) }
    nonmutating set { base.put16(newValue.rawValue, 2082) }
  }
  /// Weights of Accept-Encoding in thousandths, by `CodingWeight`.
  @inline(__always) func weight(_ index: Int) -> UInt16 { bytes.word16(2084 &+ (index & 7) &* 2) }
  @inline(__always) func setWeight(_ index: Int, _ weight: UInt16) { base.put16(weight, 2084 &+ (index & 7) &* 2) }
  /// Where the next member of a list begins.
  @inline(__always) var listCursor: Int {
    get { Int(bytes.word16(2100)) }
    nonmutating set { base.put16(UInt16(truncatingIfNeeded: newValue), 2100) }
  }

  /// Where a field of a kind begins: its name while lines are read, its value afterwards. 0: there is none.
  @inline(__always) func fieldStart(_ kind: UInt8) -> Int { Int(bytes.word16(Self.fieldOffset(kind))) }
  /// Where its value ends.
  @inline(__always) func fieldEnd(_ kind: UInt8) -> Int { Int(bytes.word16(Self.fieldOffset(kind) &+ 2)) }
  @inline(__always) func setField(_ kind: UInt8, start: Int, end: Int) {
    base.put16(UInt16(truncatingIfNeeded: start), Self.fieldOffset(kind))
    base.put16(UInt16(truncatingIfNeeded: end), Self.fieldOffset(kind) &+ 2)
  }
  @inline(__always) func clearFields() { for pair in 0..<4 { base.put64(0, 2272 &+ pair &* 8) } }
  private static func fieldOffset(_ kind: UInt8) -> Int { 2272 &+ Int(kind & 7) &* 4 }

  @inline(__always) public var hasIfNoneMatch: Bool { fieldStart(FieldKind.ifNoneMatch) != 0 }
  @inline(__always) public var hasIfModifiedSince: Bool { fieldStart(FieldKind.ifModifiedSince) != 0 }

  /// Hash of the path, not finished.
  @inline(__always) public var pathHash: UInt64 {
    get { bytes.word64(2240) }
    nonmutating set { base.put64(newValue, 2240) }
  }
  /// The path begins at `pathOffset` and has at most `Limits.pathBytesMax` bytes.
  @inline(__always) public var pathOffset: Int { 4 &+ methodExcess }
  @inline(__always) public var path: UnsafeRawPointer { bytes + pathOffset }
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
      if ByteScan.holds(path.word64(step &* 8), 0x3f, first: pathLength &- step &* 8) {
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
  static var connection: UInt32 { 2 }
  /// A field's name only begins like the one it was taken for.
  @inline(__always) static func misnamed(_ kind: UInt8) -> UInt32 { 1 &<< (8 &+ UInt32(kind & 7)) }
  /// There is a second field of the kind.
  @inline(__always) static func repeated(_ kind: UInt8) -> UInt32 { 1 &<< (16 &+ UInt32(kind & 7)) }
  @inline(__always) static func any(_ kind: UInt8) -> UInt32 { misnamed(kind) | repeated(kind) }
}
