import Contract
import Wire

/// Which content codings a client wants, and in which order (RFC 9110 section 12.5.3).
///
/// The coding with the highest weight is wanted first; of equal weights the one Apus prefers (`ContentCoding`).
/// Identity comes last unless it is given a weight: then codings of a lower weight are not wanted at all. Both halves
/// use this code. What it does not understand the kernel part hands over, and the user half answers with identity,
/// which is always right.
extension HeadBuffer {
  /// Reads the value of Accept-Encoding in the head.
  ///
  /// - Returns: false if it is not understood; else `codingOrder` is known.
  @inline(__always) public func readCodings() -> Bool {
    codingOrder = .identityOnly
    let start = fieldStart(FieldKind.acceptEncoding)
    if start == 0 || start == fieldEnd(FieldKind.acceptEncoding) { return true }
    return readCodingList() != 0
  }

  /// Reads a value of Accept-Encoding that stands anywhere in the buffer, with at least 16 bytes behind it.
  public func readCodings(at start: Int, length: Int) -> Bool {
    setField(FieldKind.acceptEncoding, start: start, end: start &+ length)
    return readCodings()
  }

  @inline(__always) public var hasAcceptEncoding: Bool { fieldStart(FieldKind.acceptEncoding) != 0 }
  /// Bytes of the value of Accept-Encoding, which must be there.
  @inline(__always) public var acceptEncodingLength: Int {
    fieldEnd(FieldKind.acceptEncoding) &- fieldStart(FieldKind.acceptEncoding)
  }
  /// Whether Accept-Encoding, which must be there and have this length, is this value to the byte.
  ///
  /// - Parameters:
  ///   - value: with seven bytes behind it that may be anything.
  ///   - length: its bytes, at most 64.
  @inline(__always) public func acceptEncoding(is value: UnsafeRawPointer, length: Int) -> Bool {
    isEqual(value, at: fieldStart(FieldKind.acceptEncoding) & Self.mask, length: length)
  }

  @inline(never) private func readCodingList() -> UInt32 {
    for index in 0..<CodingWeight.count { setWeight(index, CodingWeight.unlisted) }
    listCursor = fieldStart(FieldKind.acceptEncoding)
    for _ in 0..<Limits.listMembersMax {
      if readCoding() == 0 { return 0 }
      if listCursor == fieldEnd(FieldKind.acceptEncoding) {
        orderCodings()
        return 1
      }
    }
    return 0
  }

  /// One member of the list, and the comma and the space behind it: a coding, and perhaps `;q=` and a weight.
  /// 0: it is not understood.
  @inline(never) private func readCoding() -> UInt32 {
    let start = listCursor & Self.mask
    let end = fieldEnd(FieldKind.acceptEncoding)
    let word = word64(start) | ByteScan.every(0x20)
    let found = ByteScan.notName(word)
    var length = found == 0 ? 8 : ByteScan.first(found)
    // With bit 0x20 set the CR behind the value looks like a hyphen.
    if length > end &- start { length = end &- start }
    if word & 0xff == 0x2a { length = 1 }
    if length <= 0 { return 0 }
    let index = CodingWeight.index(of: length < 8 ? word & ((1 &<< UInt64((length & 7) &* 8)) &- 1) : word)
    var position = (start &+ length) & Self.mask
    var weight = CodingWeight.full
    if position < end && bytes.word8(position) == 0x3b {
      position = (position &+ 1) & Self.mask
      if bytes.word8(position) == 0x20 { position = (position &+ 1) & Self.mask }
      listCursor = position
      weight = readWeight()
      position = listCursor & Self.mask
    }
    if weight > CodingWeight.full || position > end { return 0 }
    if index != CodingWeight.other {
      if self.weight(index) != CodingWeight.unlisted { return 0 }
      setWeight(index, weight)
    }
    if position != end {
      if bytes.word8(position) != 0x2c { return 0 }
      position = (position &+ 1) & Self.mask
      if bytes.word8(position) == 0x20 { position = (position &+ 1) & Self.mask }
      if position >= end { return 0 }
    }
    listCursor = position
    return 1
  }

  /// `q=` and a qvalue (RFC 9110 section 12.4.2) at the cursor, which is behind it afterwards. The end of the value is
  /// no digit, so nothing behind it is read as one. `unlisted`: it is none.
  @inline(never) private func readWeight() -> UInt16 {
    var position = listCursor & Self.mask
    if word16(position) | 0x20 != 0x3d71 { return CodingWeight.unlisted }
    let first = bytes.word8((position &+ 2) & Self.mask)
    if first != 0x30 && first != 0x31 { return CodingWeight.unlisted }
    var weight: UInt16 = first == 0x31 ? CodingWeight.full : 0
    position = (position &+ 3) & Self.mask
    if bytes.word8(position) == 0x2e {
      position = (position &+ 1) & Self.mask
      var worth: UInt16 = 100
      for _ in 0..<3 {
        let digit = UInt16(bytes.word8(position)) &- 0x30
        if digit > 9 { break }
        weight = weight &+ digit &* worth
        worth = worth == 100 ? 10 : 1
        position = (position &+ 1) & Self.mask
      }
    }
    listCursor = position
    return weight
  }

  /// Orders the codings by weight; equal weights by Apus's own preference.
  @inline(__always) private func orderCodings() {
    let brotli = rank(Int(ContentCoding.brotli.rawValue))
    let zstandard = rank(Int(ContentCoding.zstandard.rawValue))
    let gzip = rank(Int(ContentCoding.gzip.rawValue))
    var order: UInt16 = 0
    // The place of each is how many are before it.
    if brotli != 0 { order |= 1 &<< (((zstandard > brotli ? 2 : 0) &+ (gzip > brotli ? 2 : 0)) & 7) }
    if zstandard != 0 { order |= 2 &<< (((brotli > zstandard ? 2 : 0) &+ (gzip > zstandard ? 2 : 0)) & 7) }
    if gzip != 0 { order |= 3 &<< (((brotli > gzip ? 2 : 0) &+ (zstandard > gzip ? 2 : 0)) & 7) }
    codingOrder = CodingOrder(rawValue: order)
  }

  /// A number that is higher the more a coding is wanted, never the same for two; 0: it is not wanted.
  @inline(__always) private func rank(_ coding: Int) -> UInt32 {
    var weight = self.weight(coding)
    if weight == CodingWeight.unlisted { weight = self.weight(CodingWeight.any) }
    if weight == CodingWeight.unlisted || weight == 0 { return 0 }
    let identity = self.weight(CodingWeight.identity)
    if identity != CodingWeight.unlisted && identity > weight { return 0 }
    return UInt32(weight) &* 4 &+ UInt32(truncatingIfNeeded: 3 &- coding)
  }
}

/// Places of the weights, and values of them.
enum CodingWeight {
  static var identity: Int { 0 }
  /// `*`: every coding that is not listed.
  static var any: Int { 4 }
  static var count: Int { 5 }
  /// A coding Apus has no files in.
  static var other: Int { 5 }

  static var full: UInt16 { 1000 }
  static var unlisted: UInt16 { 0xffff }

  /// - Parameter name: in lower case, as loaded, filled up with zeros.
  @inline(__always) static func index(of name: UInt64) -> Int {
    if name == 0x7069_7a67 || name == 0x7069_7a67_2d78 { return Int(ContentCoding.gzip.rawValue) }
    if name == 0x7262 { return Int(ContentCoding.brotli.rawValue) }
    if name == 0x6474_737a { return Int(ContentCoding.zstandard.rawValue) }
    if name == 0x7974_6974_6e65_6469 { return identity }
    return name == 0x2a ? any : other
  }
}
