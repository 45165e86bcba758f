import Wire

/// Text of the log while it is put together. Whatever came from a client is escaped, so that nobody can forge a line, a
/// field of one, or what a terminal does that shows it.
struct LogText {
  private(set) var bytes: [UInt8] = []

  var count: Int { bytes.count }

  init() {}

  mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }
  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
  /// Takes back what came after there were `count` bytes.
  mutating func truncate(to count: Int) { bytes.removeLast(bytes.count - count) }

  mutating func append(_ byte: UInt8) { bytes.append(byte) }
  mutating func append(_ text: StaticString) { bytes.append(contentsOf: UnsafeBufferPointer<UInt8>(text)) }
  mutating func append(_ other: [UInt8]) { bytes.append(contentsOf: other) }

  mutating func append(_ number: Int) {
    if number < 10, number >= 0 { return bytes.append(0x30 + UInt8(number)) }
    var digits: InlineArray<20, UInt8> = .init(repeating: 0)
    var rest = number.magnitude
    var place = 20
    repeat {
      place -= 1
      digits[place] = 0x30 + UInt8(rest % 10)
      rest /= 10
    } while rest > 0
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    for index in place..<20 { bytes.append(digits[index]) }
  }

  /// With at least so many digits.
  mutating func append(_ number: Int, digits: Int) {
    var limit = 10
    for _ in 1..<digits {
      if number < limit { bytes.append(0x30) }
      limit *= 10
    }
    append(number)
  }

  mutating func append(_ address: ClientAddress) {
    if let ipv4 = address.ipv4 {
      for place in 0..<4 {
        if place > 0 { bytes.append(UInt8(ascii: ".")) }
        append(Int(ipv4 >> UInt32(place * 8) & 0xff))
      }
    } else {
      append(IPv6Text.bytes(address.words))
    }
  }

  // MARK: What clients sent

  /// As nginx escapes its logs: quotation marks, backslashes, and all that is not printable ASCII, as `\xHH`.
  mutating func appendEscaped(_ text: UnsafeRawBufferPointer) {
    appendCut(text) { log, text in
      log.append(text) { log, byte in
        log.append("\\x")
        log.appendHexadecimal(byte)
      }
    }
  }

  /// The inside of a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 become U+FFFD.
  mutating func appendJSON(_ text: UnsafeRawBufferPointer) {
    appendCut(text) { log, text in
      if text.allSatisfy({ $0 < 0x80 }) {
        log.append(text) { log, byte in log.appendJSON(Unicode.Scalar(byte)) }
      } else {
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars { log.appendJSON(scalar) }
      }
    }
  }

  private mutating func appendCut(
    _ text: UnsafeRawBufferPointer, _ append: (inout LogText, UnsafeRawBufferPointer) -> Void
  ) {
    guard text.count > ServerLimits.accessLogFieldBytesMax else { return append(&self, text) }
    append(&self, UnsafeRawBufferPointer(rebasing: text[..<ServerLimits.accessLogFieldBytesMax]))
    self.append("...")
  }

  private mutating func appendJSON(_ scalar: Unicode.Scalar) {
    switch scalar.value {
    case 0x22: append("\\\"")
    case 0x5c: append("\\\\")
    // The controls of ISO 6429, which are two bytes of UTF-8, make a terminal do things as well.
    case ..<0x20, 0x7f...0x9f:
      append("\\u00")
      appendHexadecimal(UInt8(scalar.value))
    default: bytes.append(contentsOf: UTF8.encode(scalar)!)
    }
  }

  private mutating func appendHexadecimal(_ byte: UInt8) {
    let digits: StaticString = "0123456789ABCDEF"
    bytes.append(digits.utf8Start[Int(byte >> 4)])
    bytes.append(digits.utf8Start[Int(byte & 15)])
  }

  /// Copies stretches that need no escape as they are, eight bytes at a look.
  private mutating func append(_ text: UnsafeRawBufferPointer, escape: (inout LogText, UInt8) -> Void) {
    guard let base = text.baseAddress else { return }
    var copied = 0
    var position = 0
    while position < text.count {
      if text.count - position >= 8, Self.notPlain(base.word64(position)) == 0 {
        position += 8
        continue
      }
      // A byte alone, eight times over.
      if Self.notPlain(UInt64(text[position]) &* 0x0101_0101_0101_0101) != 0 {
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[copied..<position]))
        escape(&self, text[position])
        copied = position + 1
      }
      position += 1
    }
    bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[copied...]))
  }

  /// Not zero if a byte of the word is a control, not ASCII, a quotation mark or a backslash.
  private static func notPlain(_ word: UInt64) -> UInt64 {
    let each: UInt64 = 0x0101_0101_0101_0101
    func isZero(_ word: UInt64) -> UInt64 { (word &- each) & ~word }
    let controls = (word &+ each) | (word &- each &* 0x20)
    return (word | controls | isZero(word ^ each &* 0x22) | isZero(word ^ each &* 0x5c)) & 0x8080_8080_8080_8080
  }
}

/// IPv6 addresses as RFC 5952 has them.
enum IPv6Text {
  /// - Parameter words: network byte order.
  static func bytes(_ words: (UInt64, UInt64)) -> [UInt8] {
    let groups = [words.0, words.1].flatMap { word in
      (0..<4).map { UInt16(truncatingIfNeeded: word.bigEndian >> UInt64((3 - $0) * 16)) }
    }
    let gap = longestZeros(groups)
    var text = ""
    for index in groups.indices {
      if let gap, gap.contains(index) {
        if index == gap.lowerBound { text += "::" }
        continue
      }
      if !text.isEmpty, !text.hasSuffix("::") { text += ":" }
      text += String(groups[index], radix: 16)
    }
    return Array(text.utf8)
  }

  /// The first of the longest runs of zeros, of two groups or more (RFC 5952 section 4.2).
  private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
    var longest = 0..<0
    var start = 0
    for index in groups.indices {
      if groups[index] != 0 { start = index + 1 }
      if index + 1 - start > longest.count { longest = start..<index + 1 }
    }
    return longest.count >= 2 ? longest : nil
  }
}
