import Contract
import HTTPHead
import KernelSockets
import Wire

/// Which answer of a record a request gets.
enum Selection {
  /// The form of the answer: what `Answer` is made from, and a connection remembers. `nil`: the request is to be handed
  /// over, for the reason in the scratch memory.
  @inline(__always) static func form(of record: Record, for memory: SocketMemory) -> UInt16? {
    guard Phases.chooseForm() else { return nil }
    return memory.form.pointee
  }

  /// Chooses for the head and the record in the scratch memory, where the form is put. The result: why there is none.
  @inline(__always) static func choose(_ memory: SocketMemory) -> HandoverReason? {
    guard let record = Record(unit: memory.objectUnit.pointee) else { return .noObject }
    let head = memory.head
    if record.flags & RecordFlag.keepAliveDiffers != 0 && head.saysKeepAliveNeedlessly { return .variant }
    var place = record.place(ofCoding: 0)
    if record.flags & RecordFlag.byAcceptEncoding != 0 {
      place = self.place(by: head, in: record)
      if place == ObjectRecord.none { return .acceptEncoding }
    } else if record.hasCodings {
      guard head.readCodings() else { return .acceptEncoding }
      place = self.place(for: head.codingOrder, in: record)
    }
    if place <= ObjectRecord.elsewhere { return .variant }
    let representation = record.representation(at: place)
    if head.isHead && !representation.has(rule: RepresentationRule.answersHead) { return .method }
    var isNotModified = false
    if head.hasIfNoneMatch || head.hasIfModifiedSince {
      let outcome = evaluate(head, representation)
      if outcome == Match.unclear { return .conditional }
      isNotModified = outcome == Match.yes
    }
    let form = Form(place: place, variant: head.variant, isNotModified: isNotModified, isHead: head.isHead)
    if representation.variant(form.variant).headLength == 0 { return .variant }
    memory.form.pointee = form.rawValue
    return nil
  }

  /// The first representation in the client's order that exists; identity always comes last.
  @inline(__always) private static func place(for order: CodingOrder, in record: Record) -> UInt16 {
    let first = record.place(ofCoding: order.coding(at: 0))
    if first != ObjectRecord.none || order.coding(at: 0) == 0 { return first }
    let second = record.place(ofCoding: order.coding(at: 1))
    if second != ObjectRecord.none || order.coding(at: 1) == 0 { return second }
    let third = record.place(ofCoding: order.coding(at: 2))
    return third != ObjectRecord.none ? third : record.place(ofCoding: 0)
  }

  /// The representation for the request's value of Accept-Encoding, to the byte. `ObjectRecord.none`: it is not known.
  @inline(__always) private static func place(by head: HeadBuffer, in record: Record) -> UInt16 {
    let isThere = head.hasAcceptEncoding
    let length = isThere ? head.acceptEncodingLength : 0
    // An empty field is not a missing one.
    if length > AcceptEncodingEntry.valueBytesMax || (length == 0) == isThere { return ObjectRecord.none }
    let count = record.entryCount
    for index in 0..<AcceptEncodingEntry.countMax {
      if index >= count { break }
      let entry = record.entry(index)
      if entry.valueLength != length { continue }
      if !isThere || head.acceptEncoding(is: entry.value, length: length) { return entry.place }
    }
    return ObjectRecord.none
  }

  /// Whether the client has the representation already: RFC 9110 section 13.2.2, steps 3 and 4. Where there is an
  /// If-None-Match, dates are not looked at; a date that is not the one we gave out is left to the server behind.
  @inline(__always)
  private static func evaluate(_ head: HeadBuffer, _ representation: Record.Representation) -> UInt32 {
    if representation.has(rule: RepresentationRule.ignoresConditions) { return Match.no }
    if representation.has(rule: RepresentationRule.repeatsConditions) {
      return areRepeated(head, representation) ? Match.yes : Match.unclear
    }
    if !representation.has(rule: RepresentationRule.evaluatesConditions) { return Match.unclear }
    if head.hasIfNoneMatch {
      let length = representation.tagLength
      if length < 2 || length > Limits.tagBytesMax { return Match.unclear }
      return head.ifNoneMatch(names: representation.tag, length: length)
    }
    if representation.lastModifiedOffset == 0 { return Match.unclear }
    return head.ifModifiedSince(is: representation.lastModified) ? Match.yes : Match.unclear
  }

  /// Whether the preconditions are what the answer of a server behind said, to the byte. Servers differ in all else: some
  /// look at the date beside a tag (against section 13.2.2), or take a later date for the same.
  @inline(__always)
  private static func areRepeated(_ head: HeadBuffer, _ representation: Record.Representation) -> Bool {
    if head.hasIfNoneMatch {
      let length = representation.tagLength
      if length < 2 || length > Limits.tagBytesMax { return false }
      if !head.ifNoneMatch(is: representation.tag, length: length) { return false }
    }
    if !head.hasIfModifiedSince { return true }
    return representation.lastModifiedOffset != 0 && head.ifModifiedSince(is: representation.lastModified)
  }
}

/// Which representation of an object is answered with, by which of its heads, and whether its body follows.
struct Form {
  let rawValue: UInt16
  @inline(__always) init(rawValue: UInt16) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - place: bytes from the start of the record to the representation, a multiple of 8 below 32,768.
  ///   - variant: of `VariantIndex`.
  @inline(__always) init(place: UInt16, variant: Int, isNotModified: Bool, isHead: Bool) {
    rawValue =
      (place >> 3) << 4 | (isHead ? Self.head : 0) | (isNotModified ? Self.notModified : 0)
      | UInt16(truncatingIfNeeded: variant & 3)
  }

  private static var notModified: UInt16 { 4 }
  private static var head: UInt16 { 8 }

  @inline(__always) var place: UInt16 { (rawValue >> 4) << 3 }
  /// As `Record.Representation` counts its heads.
  @inline(__always) var variant: Int { Int(rawValue & 7) }
  /// 304.
  @inline(__always) var isNotModified: Bool { rawValue & Self.notModified != 0 }
  @inline(__always) var hasBody: Bool { rawValue & (Self.notModified | Self.head) == 0 }
}

/// What a record says in one form, read once: the record may change at any time.
struct Answer {
  let record: Record
  let headOffset: Int
  let headLength: UInt16
  let dateOffset: UInt16
  let headChecksum: UInt16
  let bodyOffset: Int
  /// 0 as well where the answer goes without its body.
  let bodyLength: UInt16
  let bodyChecksum: UInt16

  /// - Parameter form: what `Selection` chose for this record.
  @inline(__always) init(_ record: Record, form: UInt16) {
    let form = Form(rawValue: form)
    let representation = record.representation(at: form.place)
    let variant = representation.variant(form.variant)
    self.record = record
    headOffset = variant.headOffset
    headLength = variant.headLength
    dateOffset = variant.dateOffset
    headChecksum = variant.checksum
    bodyOffset = representation.bodyOffset
    bodyLength = form.hasBody ? representation.bodyLength : 0
    bodyChecksum = form.hasBody ? representation.bodyChecksum : 0
  }

  @inline(__always) var hasAge: Bool { record.flags & RecordFlag.hasAge != 0 }
  @inline(__always) var length: UInt32 { UInt32(headLength) &+ UInt32(bodyLength) }
}
