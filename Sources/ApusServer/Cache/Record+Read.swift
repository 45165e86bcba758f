import Contract

extension Record {
  /// What an object's record in the arena says of its representation without a content coding: the inverse of
  /// `Record.init`, but for preconditions and the end of its freshness. The store's lock is held, so that nobody writes
  /// there. `nil`: there is no such representation.
  static func read(_ block: UnsafeRawPointer) -> ComposedObject? {
    let header = block.loadUnaligned(as: ObjectRecord.self)
    let place = header.representations.0
    guard place > ObjectRecord.elsewhere else { return nil }
    let stored = block.loadUnaligned(fromByteOffset: Int(place), as: StoredRepresentation.self)
    func bytes(_ offset: UInt16, _ count: UInt16) -> [UInt8] {
      Array(UnsafeRawBufferPointer(start: block + Int(offset), count: Int(count)))
    }
    let variants = [stored.variants.0, stored.variants.1, stored.variants.2, stored.variants.3]
    let heads = variants.map { variant in
      variant.headLength == 0
        ? nil
        : ComposedObject.Head(
          bytes: bytes(variant.headOffset, variant.headLength),
          dateOffset: variant.dateOffset == 0 ? nil : Int(variant.dateOffset))
    }
    var object = ComposedObject(heads: heads, body: bytes(stored.bodyOffset, stored.bodyLength))
    object.keepAliveDiffers = header.flags & RecordFlag.keepAliveDiffers != 0
    if header.flags & RecordFlag.hasAge != 0 { object.ageBase_s = header.ageBase_s }
    return object
  }
}
