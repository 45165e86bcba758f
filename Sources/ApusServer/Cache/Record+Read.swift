import Contract

extension Record {
  /// What an object's record in the arena says: the inverse of `Record.init`, but for the end of its freshness. The
  /// store's lock is held, so that nobody writes there.
  static func read(_ block: UnsafeRawPointer) -> ComposedObject {
    let header = block.loadUnaligned(as: ObjectRecord.self)
    func bytes(_ offset: UInt16, _ count: UInt16) -> [UInt8] {
      Array(UnsafeRawBufferPointer(start: block + Int(offset), count: Int(count)))
    }
    let variants = [header.variants.0, header.variants.1, header.variants.2, header.variants.3]
    let heads = variants.map { variant in
      variant.headLength == 0
        ? nil
        : ComposedObject.Head(
          bytes: bytes(variant.headOffset, variant.headLength),
          dateOffset: variant.dateOffset == 0 ? nil : Int(variant.dateOffset))
    }
    var object = ComposedObject(heads: heads, body: bytes(header.bodyOffset, header.bodyLength))
    object.keepAliveDiffers = header.flags & RecordFlag.keepAliveDiffers != 0
    if header.flags & RecordFlag.hasAge != 0 { object.ageBase_s = header.ageBase_s }
    return object
  }
}
