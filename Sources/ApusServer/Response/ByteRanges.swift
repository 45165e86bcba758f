/// The Range field of a request (RFC 9110 section 14.2), held against a representation.
enum ByteRanges: Equatable {
  /// The field is to be ignored: it is no Range in bytes, or asks for what is more work than it is worth.
  case whole
  /// What is asked for is not there: 416.
  case unsatisfiable
  /// Not empty; none overlaps another, each is within the representation. In the order asked for.
  case ranges([Range<Int>])

  /// More are answered with the whole: a few serve every honest client, thousands were an attack (CVE-2011-3192).
  static let countMax = 16
  /// Ranges with a smaller gap between them are made one: the head of a part takes more (section 15.3.7.2).
  static let gapMin = 80

  /// - Parameters:
  ///   - field: the value.
  ///   - length: bytes of the representation.
  init(_ field: UnsafeRawBufferPointer, length: Int) {
    guard let specifiers = Self.specifiers(field) else {
      self = .whole
      return
    }
    let satisfiable = specifiers.compactMap { $0.range(of: length) }
    guard !satisfiable.isEmpty else {
      // Of nothing the last bytes are everything, which no Content-Range can say.
      let asksForLast = specifiers.contains { $0.first == nil && $0.last != 0 }
      self = length == 0 && asksForLast ? .whole : .unsatisfiable
      return
    }
    let ranges = Self.joined(satisfiable)
    // Asked for twice over: what RFC 9110 section 14.2 calls "indications of a broken client or attack".
    guard satisfiable.reduce(0, { $0 + $1.count }) <= 2 * length else {
      self = .whole
      return
    }
    self = .ranges(ranges)
  }

  private struct Specifier {
    /// `nil`: the last `last` bytes.
    var first: Int?
    /// `nil`: to the end.
    var last: Int?

    func range(of length: Int) -> Range<Int>? {
      guard let first else {
        let count = min(last ?? 0, length)
        return count > 0 ? length - count..<length : nil
      }
      guard first < length else { return nil }
      return first..<(min(last ?? length, length - 1) + 1)
    }
  }

  /// `bytes=` and a list of `first-last`, `first-` and `-count`; `nil` where it is not that, or too long.
  private static func specifiers(_ field: UnsafeRawBufferPointer) -> [Specifier]? {
    guard let equals = field.firstIndex(of: UInt8(ascii: "=")),
      UnsafeRawBufferPointer(rebasing: field[..<equals]).isEqualIgnoringCase("bytes")
    else { return nil }
    var specifiers: [Specifier] = []
    for member in field[(equals + 1)...].split(separator: UInt8(ascii: ",")) {
      let text = member.drop(while: Self.isSpace).reversed().drop(while: Self.isSpace).reversed()
      guard !text.isEmpty else { continue }
      guard specifiers.count < countMax, let specifier = specifier(Array(text)) else { return nil }
      specifiers.append(specifier)
    }
    return specifiers.isEmpty ? nil : specifiers
  }

  private static func specifier(_ text: [UInt8]) -> Specifier? {
    guard let dash = text.firstIndex(of: UInt8(ascii: "-")) else { return nil }
    let (before, after) = (text[..<dash], text[(dash + 1)...])
    guard let first = number(before), let last = number(after) else { return nil }
    guard first != nil || last != nil else { return nil }
    if let first, let last, last < first { return nil }
    return Specifier(first: first, last: last)
  }

  /// Decimal digits, larger numbers than there are bytes as the largest; an inner `nil` for no digit, an outer one for
  /// something else.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int?? {
    guard !digits.isEmpty else { return .some(nil) }
    var value = 0
    for digit in digits {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
      value = overflow || shifted > Int.max - 10 ? Int.max - 10 : shifted + Int(digit - UInt8(ascii: "0"))
    }
    return value
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// Ranges that overlap or nearly touch are made one, in the place of the first of them.
  private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
    var joined: [Range<Int>] = []
    for range in ranges {
      var range = range
      var place = joined.count
      // What has grown may touch others now.
      while let index = joined.firstIndex(where: { Self.touch($0, range) }) {
        let other = joined.remove(at: index)
        range = min(range.lowerBound, other.lowerBound)..<max(range.upperBound, other.upperBound)
        place = min(place, index)
      }
      joined.insert(range, at: min(place, joined.count))
    }
    return joined
  }

  private static func touch(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
    left.lowerBound <= right.upperBound + gapMin && right.lowerBound <= left.upperBound + gapMin
  }
}

/// The If-Range field (RFC 9110 section 13.1.5): whether the parts the client has are of this version.
enum IfRange {
  /// - Parameters:
  ///   - field: the value.
  ///   - now: the current second.
  static func matches(_ field: [UInt8], _ file: FileMetadata, _ tag: EntityTag, now: Int) -> Bool {
    if field.first == UInt8(ascii: "\"") { return field == tag.bytes }
    // A weak tag says nothing of bytes.
    guard !field.starts(with: "W/".utf8), let date = HTTPDate.parse(field, now: now) else { return false }
    // A date is a strong validator only if nothing can have changed within its second any more (section 8.8.2.2).
    return date == file.lastModified_s && date < now
  }
}
