import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// A record of the object store, at a place in the arena. The daemon may be changing it: whoever reads it looks at
/// the generation before and after.
struct Record {
  let base: UnsafeMutableRawPointer
  let generation: UInt32

  @inline(__always) private var bytes: UnsafeRawPointer { UnsafeRawPointer(base) }
  @inline(__always) var hash: UInt64 { bytes.word64(8) }
  @inline(__always) var site: UInt16 { bytes.word16(16) }
  @inline(__always) var pathLength: UInt16 { bytes.word16(18) }
  @inline(__always) var flags: UInt16 { bytes.word16(28) }
  @inline(__always) var ageBase_s: UInt32 { bytes.word32(32) }
  /// Where the representation in a coding is; `ObjectRecord.none` or `.elsewhere`.
  @inline(__always) func place(ofCoding coding: Int) -> UInt16 { bytes.word16(20 &+ (coding & 3) &* 2) }
  /// Whether there is a representation in any coding but identity.
  @inline(__always) var hasCodings: Bool { bytes.word64(20) >> 16 != 0 }
  /// Entries of the table by Accept-Encoding, with `RecordFlag.byAcceptEncoding`.
  @inline(__always) var entryCount: Int { Int(bytes.word16(36)) }
  @inline(__always) func entry(_ index: Int) -> Entry {
    Entry(record: bytes, base: bytes + Int(bytes.word16(30)) + (index & 7) &* AcceptEncodingEntry.byteCount)
  }
  @inline(__always) func representation(at place: UInt16) -> Representation {
    Representation(record: bytes, base: bytes + Int(place))
  }
  @inline(__always) var currentGeneration: UInt32 { bytes.word32(0) }
  @inline(__always) func touch(_ second: UInt32) {
    if bytes.word32(4) != second { base.put32(second, 4) }
  }

  /// One `StoredRepresentation` of the record.
  struct Representation {
    let record: UnsafeRawPointer
    let base: UnsafeRawPointer
    /// - Parameter index: of `VariantIndex`, plus `VariantIndex.count` for 304.
    @inline(__always) func variant(_ index: Int) -> Variant { Variant(base: base + (index & 7) &* 8) }
    @inline(__always) var bodyOffset: Int { Int(base.word16(64)) }
    @inline(__always) var bodyLength: UInt16 { base.word16(66) }
    @inline(__always) var bodyChecksum: UInt16 { base.word16(68) }
    @inline(__always) var tag: UnsafeRawPointer { record + Int(base.word16(70)) }
    @inline(__always) var tagLength: Int { Int(base.word16(72)) }
    @inline(__always) var lastModifiedOffset: Int { Int(base.word16(74)) }
    @inline(__always) var lastModified: UnsafeRawPointer { record + lastModifiedOffset }
    @inline(__always) func has(rule: UInt16) -> Bool { base.word16(76) & rule != 0 }
  }

  /// One `AcceptEncodingEntry` of the record.
  struct Entry {
    let record: UnsafeRawPointer
    let base: UnsafeRawPointer
    @inline(__always) var value: UnsafeRawPointer { record + Int(base.word16(0)) }
    @inline(__always) var valueLength: Int { Int(base.word16(2)) }
    @inline(__always) var place: UInt16 { base.word16(4) }
  }

  struct Variant {
    let base: UnsafeRawPointer
    @inline(__always) var headOffset: Int { Int(base.word16(0)) }
    @inline(__always) var headLength: UInt16 { base.word16(2) }
    @inline(__always) var dateOffset: UInt16 { base.word16(4) }
    @inline(__always) var checksum: UInt16 { base.word16(6) }
  }

  /// The object the head in the scratch memory asks for, of the site that stands there too.
  @inline(__always) init?(found memory: SocketMemory) {
    guard Phases.findObject(), let arena = Maps.arena else { return nil }
    base = arena + Int((memory.objectUnit.pointee &* UInt32(Limits.recordAlignment)) & arenaMask)
    generation = memory.objectGeneration.pointee
  }

  /// Whatever stands at a place in the arena; its generation tells what it is.
  @inline(__always) init?(unit: UInt32) {
    guard let arena = Maps.arena else { return nil }
    base = arena + Int((unit &* UInt32(Limits.recordAlignment)) & arenaMask)
    generation = UnsafeRawPointer(base).word32(0)
  }

  /// Finds a record, its key compared to the last byte, and stores where it is and its generation.
  @inline(__always) static func find(_ memory: SocketMemory) -> Bool {
    let head = memory.head
    let site = memory.site.pointee
    var path = PathHash(seed: head.pathHash, site: site)
    let hash = path.finish(length: head.pathLength)
    guard let bucket = Maps.index.bytes(IndexBucket.bucket(hash: hash)) else { return false }
    let slots = UnsafeRawPointer(bucket)
    var unit: UInt32 = 0
    for slot in 0..<IndexBucket.slotCount {
      let word = slots.word64(slot &* 8)
      if IndexBucket.matches(slot: word, hash: hash) { unit = UInt32(truncatingIfNeeded: word) }
    }
    guard unit != 0, let record = Record(unit: unit) else { return false }
    guard record.generation & 1 == 0, record.hash == hash, record.site == site, record.hasPath(of: head) else {
      return false
    }
    memory.objectUnit.pointee = unit
    memory.objectGeneration.pointee = record.generation
    return true
  }

  @inline(__always) private func hasPath(of head: HeadBuffer) -> Bool {
    let length = head.pathLength
    if Int(pathLength) != length { return false }
    let asked = head.path
    let stored = bytes + ObjectRecord.pathOffset
    for word in 0..<32 {
      let left = length &- word &* 8
      if left <= 0 { break }
      let difference = asked.word64(word &* 8) ^ stored.word64(word &* 8)
      let mask: UInt64 = left >= 8 ? ~0 : (1 &<< UInt64((left & 7) &* 8)) &- 1
      if difference & mask != 0 { return false }
    }
    return true
  }
}
