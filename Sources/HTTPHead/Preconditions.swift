import Contract
import Wire

/// What If-None-Match and If-Modified-Since say of a representation (RFC 9110 section 13.1).
extension HeadBuffer {
  /// Whether If-None-Match, which must be there, names an entity tag, compared weakly (section 8.8.3.2), or is `*`.
  ///
  /// - Parameters:
  ///   - tag: the opaque-tag with its quotation marks, with seven bytes behind it that may be anything.
  ///   - length: its bytes, 2...`Limits.tagBytesMax`.
  /// - Returns: a `Match`.
  @inline(__always) public func ifNoneMatch(names tag: UnsafeRawPointer, length: Int) -> UInt32 {
    let start = fieldStart(FieldKind.ifNoneMatch)
    let end = fieldEnd(FieldKind.ifNoneMatch)
    if end &- start == 1 && bytes.word8(start & Self.mask) == 0x2a { return Match.yes }
    listCursor = start
    return matchTags(tag, length: length)
  }

  /// Whether If-None-Match, which must be there, is this one entity tag to the letter.
  ///
  /// - Parameters: as for `ifNoneMatch(names:length:)`, but that `W/` is a part of the tag.
  @inline(__always) public func ifNoneMatch(is tag: UnsafeRawPointer, length: Int) -> Bool {
    let start = fieldStart(FieldKind.ifNoneMatch)
    if fieldEnd(FieldKind.ifNoneMatch) &- start != length { return false }
    return isEqual(tag, at: start & Self.mask, length: length)
  }

  @inline(never) private func matchTags(_ tag: UnsafeRawPointer, length: Int) -> UInt32 {
    let end = fieldEnd(FieldKind.ifNoneMatch)
    for _ in 0..<Limits.listMembersMax {
      let match = matchTag(tag, length: length)
      if match != Match.no { return match }
      if listCursor == end { return Match.no }
    }
    return Match.unclear
  }

  /// Compares the member at the cursor, and moves behind it and the comma and the space that follow it.
  @inline(never) private func matchTag(_ tag: UnsafeRawPointer, length: Int) -> UInt32 {
    let end = fieldEnd(FieldKind.ifNoneMatch)
    // "W/": the comparison is weak, so it says nothing.
    let start = (listCursor &+ (word16(listCursor) == 0x2f57 ? 2 : 0)) & Self.mask
    if bytes.word8(start) != 0x22 { return Match.unclear }
    listCursor = start &+ 1
    let behind = closingQuote() &+ 1
    if behind == 0 || behind > end { return Match.unclear }
    var position = behind & Self.mask
    if position != end {
      if bytes.word8(position) != 0x2c { return Match.unclear }
      position = (position &+ 1) & Self.mask
      if bytes.word8(position) == 0x20 { position = (position &+ 1) & Self.mask }
      if position >= end { return Match.unclear }
    }
    listCursor = position
    return behind &- start == length && isEqual(tag, at: start, length: length) ? Match.yes : Match.no
  }

  /// Where the next quotation mark from the cursor on is; -1: not near.
  @inline(never) private func closingQuote() -> Int {
    var position = listCursor & Self.mask
    for _ in 0..<16 {
      let word = word64(position)
      let found = ByteScan.quotes(word)
      if found != 0 { return (position &+ ByteScan.first(found)) & Self.mask }
      position = (position &+ 8) & Self.mask
    }
    return -1
  }

  /// Whether If-Modified-Since, which must be there, is this date to the letter.
  ///
  /// - Parameter date: 29 bytes (IMF-fixdate), with three bytes behind them that may be anything.
  @inline(__always) public func ifModifiedSince(is date: UnsafeRawPointer) -> Bool {
    let start = fieldStart(FieldKind.ifModifiedSince)
    if fieldEnd(FieldKind.ifModifiedSince) &- start != DateEntry.textLength { return false }
    return isEqual(date, at: start & Self.mask, length: DateEntry.textLength)
  }

  /// Whether the head has these bytes at a position; at most 64.
  @inline(never) func isEqual(_ other: UnsafeRawPointer, at position: Int, length: Int) -> Bool {
    for step in 0..<8 {
      let left = length &- step &* 8
      if left <= 0 { break }
      let difference = word64(position &+ step &* 8) ^ other.word64(step &* 8)
      let mask: UInt64 = left >= 8 ? ~0 : (1 &<< UInt64((left & 7) &* 8)) &- 1
      if difference & mask != 0 { return false }
    }
    return true
  }
}

/// The outcome of a comparison.
public enum Match {
  public static var no: UInt32 { 0 }
  public static var yes: UInt32 { 1 }
  /// The list is odd, or too long: whoever can read it shall.
  public static var unclear: UInt32 { 2 }
}
