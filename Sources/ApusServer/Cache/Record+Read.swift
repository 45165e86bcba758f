import Contract

extension Record {
  /// What an object's record in the arena says of its representation without a content coding: the inverse of
  /// `Record.init`, but for the end of its freshness. The store's lock is held, so that nobody writes there. `nil`: there
  /// is no such representation, or others are chosen by the value of Accept-Encoding, which are learned anew.
  static func read(_ block: UnsafeRawPointer) -> ComposedObject? {
    let header = block.loadUnaligned(as: ObjectRecord.self)
    let place = header.representations.0
    guard place > ObjectRecord.elsewhere, header.flags & RecordFlag.byAcceptEncoding == 0 else { return nil }
    let stored = block.loadUnaligned(fromByteOffset: Int(place), as: StoredRepresentation.self)
    var representation = ComposedObject.Representation(
      heads: heads(stored.variants, block), body: bytes(stored.bodyOffset, stored.bodyLength, block))
    representation.answersHead = stored.rules & RepresentationRule.answersHead != 0
    representation.conditions = conditions(stored, block)
    var object = ComposedObject(representation)
    object.keepAliveDiffers = header.flags & RecordFlag.keepAliveDiffers != 0
    if header.flags & RecordFlag.hasAge != 0 { object.ageBase_s = header.ageBase_s }
    return object
  }

  private static func conditions(
    _ stored: StoredRepresentation, _ block: UnsafeRawPointer
  ) -> ComposedObject.Conditions {
    if stored.rules & RepresentationRule.ignoresConditions != 0 { return .ignored }
    let dateLength = stored.lastModifiedOffset == 0 ? 0 : UInt16(DateEntry.textLength)
    let validators = ComposedObject.Validators(
      tag: bytes(stored.tagOffset, stored.tagLength, block),
      lastModified: bytes(stored.lastModifiedOffset, dateLength, block))
    let heads = heads(stored.notModified, block)
    if stored.rules & RepresentationRule.evaluatesConditions != 0 { return .evaluated(validators, heads: heads) }
    if stored.rules & RepresentationRule.repeatsConditions != 0 { return .repeated(validators, heads: heads) }
    return .unknown
  }

  private static func heads(
    _ variants: StoredRepresentation.Variants, _ block: UnsafeRawPointer
  ) -> [ComposedObject.Head?] {
    [variants.0, variants.1, variants.2, variants.3].map { variant in
      variant.headLength == 0
        ? nil
        : ComposedObject.Head(
          bytes: bytes(variant.headOffset, variant.headLength, block),
          dateOffset: variant.dateOffset == 0 ? nil : Int(variant.dateOffset))
    }
  }

  private static func bytes(_ offset: UInt16, _ count: UInt16, _ block: UnsafeRawPointer) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: block + Int(offset), count: Int(count)))
  }
}
