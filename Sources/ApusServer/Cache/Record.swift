import Contract
import Synchronization

/// Why the store does not take an object.
enum StoreRefusal: Error, Equatable {
  /// The answer or its record is larger than the contract allows.
  case tooLarge
  /// An object that breaks the contract: no head, an offset outside its head, a path that is empty or too long.
  case malformed
  /// What the answer depends on changed, or the store was purged, since `ObjectStore.begin`.
  case invalidated
  /// The store is full and what would have to go is asked for more often.
  case notAdmitted
  /// Room was made and is free after the quarantine; the ticket stays valid.
  case noRoomYet(retryAfter_ms: Int)
}

/// The bytes of an object's record, ready to be copied into the arena: what `Contract/Object.swift` lays down.
///
/// Header, path, the table by Accept-Encoding if there is one, and for each representation: itself, its validators, its distinct heads, its body. The head most
/// requests get, `persistent11`, is the last one, so that it and the body are one run of bytes. Heads begin at
/// multiples of eight.
struct Record {
  private(set) var header = ObjectRecord()
  /// Everything behind the header.
  private(set) var content: [UInt8] = []

  var byteCount: Int { ObjectRecord.byteCount + content.count }

  /// - Parameter hash: `PathHash` of the key.
  /// - Throws: `StoreRefusal.tooLarge` or `.malformed`.
  init(_ object: ComposedObject, for key: ObjectKey, hash: UInt64) throws(StoreRefusal) {
    guard !key.path.isEmpty, key.path.count <= Limits.pathBytesMax else { throw .malformed }
    header.hash = hash
    header.site = key.site
    header.pathLength = UInt16(key.path.count)
    content = key.path
    let entriesStart = try placeValues(object.encodings)
    var places: [UInt16] = []
    for availability in object.representations {
      switch availability {
      case .none: places.append(ObjectRecord.none)
      case .elsewhere: places.append(ObjectRecord.elsewhere)
      case .stored(let representation): places.append(try place(representation, hasAge: object.ageBase_s != nil))
      }
    }
    guard places.contains(where: { $0 > ObjectRecord.elsewhere }) else { throw .malformed }
    header.representations = (places[0], places[1], places[2], places[3])
    if !object.encodings.isEmpty { try setEntries(object.encodings, at: entriesStart, places) }
    if object.keepAliveDiffers { header.flags |= RecordFlag.keepAliveDiffers }
    if let ageBase_s = object.ageBase_s {
      header.flags |= RecordFlag.hasAge
      header.ageBase_s = ageBase_s
    }
  }

  /// Appends room for the table by Accept-Encoding, and the values behind it. Returns where it is in `content`.
  private mutating func placeValues(_ entries: [ComposedObject.EncodingEntry]) throws(StoreRefusal) -> Int {
    guard entries.count <= AcceptEncodingEntry.countMax, Set(entries.map(\.value)).count == entries.count,
      entries.allSatisfy({ (1...AcceptEncodingEntry.valueBytesMax).contains($0.value?.count ?? 1) })
    else { throw .malformed }
    align()
    let start = content.count
    content += [UInt8](repeating: 0, count: entries.count * AcceptEncodingEntry.byteCount)
    for entry in entries { content += entry.value ?? [] }
    return start
  }

  /// Fills the table in, when the places of the representations are known.
  private mutating func setEntries(
    _ entries: [ComposedObject.EncodingEntry], at start: Int, _ places: [UInt16]
  ) throws(StoreRefusal) {
    var valueOffset = ObjectRecord.byteCount + start + entries.count * AcceptEncodingEntry.byteCount
    for (index, entry) in entries.enumerated() {
      guard places.indices.contains(entry.representation), places[entry.representation] != ObjectRecord.none else {
        throw .malformed
      }
      var stored = AcceptEncodingEntry()
      stored.valueOffset = UInt16(valueOffset)
      stored.valueLength = UInt16(entry.value?.count ?? 0)
      stored.place = places[entry.representation]
      valueOffset += entry.value?.count ?? 0
      let offset = start + index * AcceptEncodingEntry.byteCount
      withUnsafeBytes(of: stored) { content.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }
    header.flags |= RecordFlag.byAcceptEncoding
    header.entriesOffset = UInt16(ObjectRecord.byteCount + start)
    header.entryCount = UInt16(entries.count)
  }

  private static func check(
    _ representation: ComposedObject.Representation, hasAge: Bool
  ) throws(StoreRefusal) {
    var heads = representation.heads
    guard heads.count == VariantIndex.count, heads.contains(where: { $0 != nil }) else { throw .malformed }
    switch representation.conditions {
    case .unknown, .ignored: break
    case .evaluated(let validators, let notModified):
      guard (2...Limits.tagBytesMax).contains(validators.tag.count),
        validators.lastModified.count == DateEntry.textLength, notModified.count == VariantIndex.count
      else { throw .malformed }
      heads += notModified
    case .repeated(let validators, let notModified):
      guard validators.tag.isEmpty || (2...Limits.tagBytesMax).contains(validators.tag.count),
        validators.lastModified.isEmpty || validators.lastModified.count == DateEntry.textLength,
        notModified.count == VariantIndex.count
      else { throw .malformed }
      heads += notModified
    }
    for case .some(let head) in heads {
      if head.bytes.isEmpty { throw .malformed }
      if head.bytes.count + representation.body.count > Limits.responseBytesMax { throw .tooLarge }
      // Zero says "no Date" in the record; a Date value cannot begin there anyway.
      if let date = head.dateOffset, date < 1 || date + DateEntry.textLength > head.bytes.count { throw .malformed }
      if hasAge && !AgeField.ends(head.bytes) { throw .malformed }
    }
  }

  /// Appends a representation with all it refers to. Returns where it is.
  private mutating func place(
    _ representation: ComposedObject.Representation, hasAge: Bool
  ) throws(StoreRefusal) -> UInt16 {
    try Self.check(representation, hasAge: hasAge)
    align()
    let start = content.count
    let offset = byteCount
    content += [UInt8](repeating: 0, count: StoredRepresentation.byteCount)
    var stored = StoredRepresentation()
    if representation.answersHead { stored.rules |= RepresentationRule.answersHead }
    switch representation.conditions {
    case .unknown: break
    case .ignored: stored.rules |= RepresentationRule.ignoresConditions
    case .evaluated(let validators, let heads):
      stored.rules |= RepresentationRule.evaluatesConditions
      place(validators, &stored)
      stored.notModified = try place(heads)
    case .repeated(let validators, let heads):
      stored.rules |= RepresentationRule.repeatsConditions
      place(validators, &stored)
      stored.notModified = try place(heads)
    }
    stored.variants = try place(representation.heads)
    if byteCount + representation.body.count > Limits.recordBytesMax { throw .tooLarge }
    stored.bodyOffset = UInt16(byteCount)
    stored.bodyLength = UInt16(representation.body.count)
    stored.bodyChecksum = Self.checksum(representation.body)
    content += representation.body
    withUnsafeBytes(of: stored) { content.replaceSubrange(start..<start + $0.count, with: $0) }
    return UInt16(offset)
  }

  private mutating func place(_ validators: ComposedObject.Validators, _ stored: inout StoredRepresentation) {
    stored.tagOffset = UInt16(byteCount)
    stored.tagLength = UInt16(validators.tag.count)
    content += validators.tag
    if !validators.lastModified.isEmpty { stored.lastModifiedOffset = UInt16(byteCount) }
    content += validators.lastModified
  }

  /// Appends the distinct heads, the first one last.
  private mutating func place(
    _ all: [ComposedObject.Head?]
  ) throws(StoreRefusal) -> StoredRepresentation.Variants {
    var placed: [(head: ComposedObject.Head, variant: ResponseVariant)] = []
    let heads = all.compactMap { $0 }
    for head in heads.dropFirst().reversed() where head != heads[0] && !placed.contains(where: { $0.head == head }) {
      placed.append((head, try place(head)))
    }
    if let first = heads.first { placed.append((first, try place(first))) }
    func variant(_ index: Int) -> ResponseVariant {
      placed.first { $0.head == all[index] }?.variant ?? ResponseVariant()
    }
    return (variant(0), variant(1), variant(2), variant(3))
  }

  private mutating func align() { while byteCount % 8 != 0 { content.append(0) } }

  private mutating func place(_ head: ComposedObject.Head) throws(StoreRefusal) -> ResponseVariant {
    align()
    if byteCount + head.bytes.count > Limits.recordBytesMax { throw .tooLarge }
    var variant = ResponseVariant()
    variant.headOffset = UInt16(byteCount)
    variant.headLength = UInt16(head.bytes.count)
    variant.dateOffset = UInt16(head.dateOffset ?? 0)
    variant.checksum = Self.checksum(head)
    content += head.bytes
    return variant
  }

  /// Without what the kernel part fills in.
  private static func checksum(_ head: ComposedObject.Head) -> UInt16 {
    var bytes = head.bytes
    if let date = head.dateOffset {
      for offset in date..<date + DateEntry.textLength { bytes[offset] = 0 }
    }
    return checksum(bytes)
  }

  /// The ones' complement sum, folded, not complemented, of 16-bit words as loaded from memory (RFC 1071 section 2B:
  /// the byte order does not matter to the sum).
  private static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt64 = 0
    bytes.withUnsafeBytes { raw in
      for offset in stride(from: 0, to: raw.count & ~1, by: 2) {
        sum += UInt64(raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      }
      if raw.count % 2 != 0 { sum += UInt64(UInt16(littleEndian: UInt16(raw[raw.count - 1]))) }
    }
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return UInt16(sum)
  }
}

extension Record {
  /// Writes the record into its block. Whoever reads there meanwhile sees an odd generation before or after.
  ///
  /// - Parameters:
  ///   - generation: even, never used by another record of the arena.
  ///   - lastHit_s: CLOCK_MONOTONIC seconds; a new object counts as just asked for.
  func write(to block: UnsafeMutableRawPointer, generation: UInt32, lastHit_s: UInt32) {
    precondition(generation % 2 == 0 && MemoryLayout<ObjectRecord>.size == ObjectRecord.byteCount)
    Self.markInvalid(block, generation: generation)
    // The odd generation before any other byte (smp_wmb of a seqlock's writer) ...
    atomicMemoryFence(ordering: .releasing)
    (block + StoreMemory.lastHitOffset).storeAtomic(lastHit_s)
    withUnsafeBytes(of: header) {
      let fields = UnsafeRawBufferPointer(rebasing: $0[StoreMemory.fieldsOffset...])
      (block + StoreMemory.fieldsOffset).copyMemory(from: fields.baseAddress!, byteCount: fields.count)
    }
    content.withUnsafeBytes {
      (block + ObjectRecord.byteCount).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    // ... and the even one after all of them.
    (block + StoreMemory.generationOffset).storeAtomic(generation)
  }

  /// Makes the generation odd: whoever has copied from the record in part sees that it is no longer valid.
  static func markInvalid(_ block: UnsafeMutableRawPointer, generation: UInt32) {
    (block + StoreMemory.generationOffset).storeAtomic(generation | 1)
  }
}

extension ObjectKey {
  /// `PathHash` of site and path.
  func hash(seed: UInt64) -> UInt64 {
    var hash = PathHash(seed: seed, site: site)
    path.withUnsafeBytes { raw in
      var offset = 0
      while offset < raw.count {
        var word: UInt64 = 0
        withUnsafeMutableBytes(of: &word) {
          $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[offset..<min(offset + 8, raw.count)]))
        }
        hash.add(word)
        offset += 8
      }
    }
    return hash.finish(length: path.count)
  }
}
