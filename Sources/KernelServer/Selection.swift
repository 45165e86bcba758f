import Contract
import HTTPHead
import Wire

/// Which answer of a record a request gets.
enum Selection {
  /// The form of the answer: what `Answer` is made from, and a connection remembers. `nil`: the request is to be handed
  /// over, for the reason in the scratch memory.
  @inline(__always) static func form(of record: Record, for scratch: Scratch) -> UInt16? {
    let variant = scratch.head.variant
    let isRefused = record.flags & RecordFlag.keepAliveDiffers != 0 && scratch.head.saysKeepAliveNeedlessly
    if record.variant(variant).headLength == 0 || isRefused {
      scratch.reason.pointee = HandoverReason.variant.rawValue
      return nil
    }
    return UInt16(truncatingIfNeeded: variant)
  }
}

/// What a record says in one form, read once: the record may change at any time.
struct Answer {
  let record: Record
  let headOffset: Int
  let headLength: UInt16
  let dateOffset: UInt16
  let headChecksum: UInt16
  let bodyOffset: Int
  let bodyLength: UInt16
  let bodyChecksum: UInt16

  /// - Parameter form: what `Selection` chose for this record.
  @inline(__always) init(_ record: Record, form: UInt16) {
    let variant = record.variant(Int(form & 3))
    self.record = record
    headOffset = variant.headOffset
    headLength = variant.headLength
    dateOffset = variant.dateOffset
    headChecksum = variant.checksum
    bodyOffset = record.bodyOffset
    bodyLength = record.bodyLength
    bodyChecksum = record.bodyChecksum
  }

  @inline(__always) var hasAge: Bool { record.flags & RecordFlag.hasAge != 0 }
  @inline(__always) var length: UInt32 { UInt32(headLength) &+ UInt32(bodyLength) }
}
