/// The object store as both halves see it: an index of buckets and an arena of records, both arrays in
/// kernel memory that the daemon maps into its own address space. The daemon is the only writer (but for
/// ``ObjectRecord/lastHit_s``); the kernel part reads without locks and checks the generation.

/// One cache line of the index. A slot holds the record's unit (arena offset / 64) in its low and the upper
/// half of the object's hash in its high 32 bits; 0 is an empty slot (unit 0 of the arena is never used).
public struct IndexBucket {
  public static var slotCount: Int { 8 }
  public static var byteCount: Int { 64 }

  public static func slot(hash: UInt64, unit: UInt32) -> UInt64 {
    (hash & 0xffff_ffff_0000_0000) | UInt64(unit)
  }
  /// Whether a slot can be the one of an object with this hash. The record's key is compared in full afterwards.
  public static func matches(slot: UInt64, hash: UInt64) -> Bool {
    (slot ^ hash) >> 32 == 0 && slot & 0xffff_ffff != 0
  }
  public static func bucket(hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash) & UInt32(truncatingIfNeeded: Limits.indexBucketsMax &- 1)
  }
}

/// How one kind of request is answered: the response head to send for it. 8 bytes.
/// A `headLength` of 0 says that there is none: such a request is handed over.
public struct ResponseVariant: Sendable, BitwiseCopyable {
  /// Bytes from the start of the record to the head; the head ends with its empty line.
  public var headOffset: UInt16 = 0
  public var headLength: UInt16 = 0
  /// Bytes from the start of the head to the 29 bytes of the Date value (IMF-fixdate, RFC 9110 section 5.6.7).
  /// 0: this head has no Date.
  public var dateOffset: UInt16 = 0
  /// Ones' complement sum (RFC 1071) of the head, folded, not complemented, of words as loaded from memory, with the
  /// Date value taken as 29 zero bytes.
  public var checksum: UInt16 = 0
  public init() {}
}

/// Which variant answers a request: by HTTP version and by whether the connection persists after it.
public enum VariantIndex {
  public static var persistent11: Int { 0 }
  public static var closing11: Int { 1 }
  public static var persistent10: Int { 2 }
  public static var closing10: Int { 3 }
  public static var count: Int { 4 }
}

/// The header of a record, 64 bytes. Behind it: the path (padded with zeros to a multiple of 8), the response
/// heads, the body, in any order the offsets say.
public struct ObjectRecord: Sendable, BitwiseCopyable {
  /// Odd while the daemon writes the record; never the same even value twice for what the arena holds.
  public var generation: UInt32 = 0
  /// CLOCK_MONOTONIC seconds of the last answer from this record; the one field the kernel part writes.
  public var lastHit_s: UInt32 = 0
  /// `PathHash` of site and path.
  public var hash: UInt64 = 0
  public var site: UInt16 = 0
  public var pathLength: UInt16 = 0
  public var bodyOffset: UInt16 = 0
  public var bodyLength: UInt16 = 0
  public var variants: (ResponseVariant, ResponseVariant, ResponseVariant, ResponseVariant) = (
    ResponseVariant(), ResponseVariant(), ResponseVariant(), ResponseVariant()
  )
  /// Ones' complement sum of the body as if it began at an even offset, folded, as the heads' are.
  public var bodyChecksum: UInt16 = 0
  public var reserved: (UInt16, UInt16, UInt16) = (0, 0, 0)
  public init() {}

  public static var byteCount: Int { 64 }
  public static var pathOffset: Int { 64 }
}
