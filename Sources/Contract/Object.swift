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

/// How the representation of an object in one content coding is answered with. 80 bytes, somewhere in the record.
public struct StoredRepresentation: Sendable, BitwiseCopyable {
  public typealias Variants = (ResponseVariant, ResponseVariant, ResponseVariant, ResponseVariant)
  public static var noVariants: Variants {
    (ResponseVariant(), ResponseVariant(), ResponseVariant(), ResponseVariant())
  }

  /// By `VariantIndex`: the heads that go before the body.
  public var variants = noVariants
  /// By `VariantIndex`: the heads of 304 (Not Modified), which nothing follows.
  public var notModified = noVariants
  /// Offsets are bytes from the start of the record, here and below.
  public var bodyOffset: UInt16 = 0
  public var bodyLength: UInt16 = 0
  /// Ones' complement sum of the body as if it began at an even offset, folded, as the heads' are.
  public var bodyChecksum: UInt16 = 0
  /// The opaque-tag of ETag with its quotation marks (RFC 9110 section 8.8.3, but see `repeatsConditions`), at most `Limits.tagBytesMax` bytes.
  /// A length of 0: there is none.
  public var tagOffset: UInt16 = 0
  public var tagLength: UInt16 = 0
  /// The 29 bytes of Last-Modified (IMF-fixdate). 0: there is none.
  public var lastModifiedOffset: UInt16 = 0
  /// Bits of `RepresentationRule`.
  public var rules: UInt16 = 0
  public var reserved: UInt16 = 0
  public init() {}

  public static var byteCount: Int { 80 }
}

/// What may be concluded from a representation. With none of the bits only a plain GET is answered.
public enum RepresentationRule {
  /// HEAD is answered with the head of GET.
  public static var answersHead: UInt16 { 1 }
  /// Preconditions are evaluated as RFC 9110 section 13.2.2 has it.
  public static var evaluatesConditions: UInt16 { 2 }
  /// Preconditions do not matter: the answer is not 2xx (RFC 9110 section 13.2.1).
  public static var ignoresConditions: UInt16 { 4 }
  /// Preconditions that say again what the answer said, to the byte, are fulfilled, all of them that are there. What any
  /// other comes to only the server behind knows. The tag is the whole value of ETag then.
  public static var repeatsConditions: UInt16 { 8 }
}

/// The header of a record, 40 bytes. Behind it: the path (padded with zeros to a multiple of 8), representations,
/// response heads, validators, bodies, in any order the offsets say.
public struct ObjectRecord: Sendable, BitwiseCopyable {
  /// Odd while the daemon writes the record; never the same even value twice for what the arena holds.
  public var generation: UInt32 = 0
  /// CLOCK_MONOTONIC seconds of the last answer from this record; the one field the kernel part writes.
  public var lastHit_s: UInt32 = 0
  /// `PathHash` of site and path.
  public var hash: UInt64 = 0
  public var site: UInt16 = 0
  public var pathLength: UInt16 = 0
  /// By `ContentCoding`: bytes from the start of the record to its `StoredRepresentation`; `none` or `elsewhere`.
  public var representations: (UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0)
  /// Bits of `RecordFlag`.
  public var flags: UInt16 = 0
  /// With `RecordFlag.byAcceptEncoding`: bytes from the start of the record to its `AcceptEncodingEntry` table.
  public var entriesOffset: UInt16 = 0
  /// CLOCK_REALTIME second from which Age counts, with `RecordFlag.hasAge`.
  public var ageBase_s: UInt32 = 0
  /// Entries of that table, at most `AcceptEncodingEntry.countMax`.
  public var entryCount: UInt16 = 0
  public var reserved: UInt16 = 0
  public init() {}

  public static var byteCount: Int { 40 }
  public static var pathOffset: Int { 40 }
  /// Such a representation does not exist: a client that prefers it gets the next one.
  public static var none: UInt16 { 0 }
  /// It exists, but not in the store: a client that prefers it is handed over.
  public static var elsewhere: UInt16 { 1 }
}

/// What is special about an object.
public enum RecordFlag {
  /// Every head ends in an Age whose value the kernel part fills in (`AgeSlot`).
  public static var hasAge: UInt16 { 1 }
  /// The server behind answers a request of HTTP/1.1 that says `Connection: keep-alive` with another head than one that
  /// only means it: such a request is handed over.
  public static var keepAliveDiffers: UInt16 { 2 }
  /// Which representation answers is chosen by the value of the request's Accept-Encoding, to the byte, with a table of
  /// `AcceptEncodingEntry`; the places of `ObjectRecord.representations` say nothing of their codings then. A value that
  /// is not in the table is handed over: only the server behind knows what it comes to (RFC 9111 section 4.1).
  public static var byAcceptEncoding: UInt16 { 4 }
}

/// What a request with one value of Accept-Encoding is answered with. 8 bytes.
public struct AcceptEncodingEntry: Sendable, BitwiseCopyable {
  /// Bytes from the start of the record to the value.
  public var valueOffset: UInt16 = 0
  /// At most `valueBytesMax`. 0: the request has no such field.
  public var valueLength: UInt16 = 0
  /// Bytes from the start of the record to the `StoredRepresentation`, or `ObjectRecord.elsewhere`.
  public var place: UInt16 = 0
  public var reserved: UInt16 = 0
  public init() {}

  public static var byteCount: Int { 8 }
  public static var countMax: Int { 8 }
  /// As many as are compared.
  public static var valueBytesMax: Int { 64 }
}

/// The value of an Age (RFC 9111 section 5.1) in a head that was stored before the age was known: eight places, the
/// number at their right, spaces before it. White space before a value means nothing, and overwriting in place is what
/// RFC 9110 section 5.6.3 has it for.
public enum AgeSlot {
  public static var length: Int { 8 }
  /// The slot ends where the last field line of the head does: before its line end and the empty line.
  public static var bytesBehind: Int { 4 }
  public static var age_s_max: UInt32 { 99_999_999 }

  /// The eight bytes, the first in the lowest byte.
  @inline(__always) public static func text(age_s: UInt32) -> UInt64 {
    var rest = age_s > age_s_max ? age_s_max : age_s
    var word: UInt64 = 0
    for place in 0..<8 {
      let byte: UInt32 = rest == 0 && place != 0 ? 0x20 : 0x30 &+ rest % 10
      // The last digit comes first, and belongs into the highest byte.
      word |= UInt64(byte) &<< UInt64(56 &- place &* 8)
      rest /= 10
    }
    return word
  }
}
