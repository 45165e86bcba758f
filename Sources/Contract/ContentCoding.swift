/// The content codings a representation can be stored in (RFC 9110 section 8.4.1), in the order Apus prefers them.
public enum ContentCoding: UInt8, CaseIterable, Sendable {
  case identity = 0
  case brotli
  case zstandard
  case gzip

  public static var count: Int { 4 }
}

/// Content codings in the order one client wants them, two bits each, the first in the lowest ones; behind the last
/// comes identity, which is 0.
public struct CodingOrder: Equatable, Hashable, Sendable {
  public var rawValue: UInt16
  @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static var identityOnly: CodingOrder { CodingOrder(rawValue: 0) }

  /// Number of the coding at a place from 0 to 3.
  @inline(__always) public func coding(at place: Int) -> Int {
    Int(truncatingIfNeeded: rawValue &>> UInt16(truncatingIfNeeded: (place & 3) &* 2)) & 3
  }
}
