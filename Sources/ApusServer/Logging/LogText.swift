import Wire

/// Text of the log while it is put together. Whatever came from a client is escaped, so that nobody can forge a line, a
/// field of one, or what a terminal does that shows it.
///
/// Memory of its own rather than an array's: a line is some thirty small pieces, and there are hundreds of thousands of
/// lines a second.
struct LogText: ~Copyable, @unchecked Sendable {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private(set) var count = 0

  init(capacity: Int = 4096) {
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  /// The text as it is now; valid until it is changed.
  borrowing func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  mutating func removeAll() { count = 0 }

  /// Makes room for so many further bytes.
  @inline(__always) private mutating func reserve(_ further: Int) {
    if capacity - count < further { grow(further) }
  }

  @inline(never) private mutating func grow(_ further: Int) {
    capacity = max(capacity * 2, count + further)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
  }

  /// Where there is room already.
  @inline(__always) private mutating func put(_ byte: UInt8) {
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count += 1
  }

  mutating func append(_ byte: UInt8) {
    reserve(1)
    put(byte)
  }

  mutating func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

  mutating func append(_ other: borrowing LogText) { other.withBytes { append($0) } }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    count += bytes.count
  }

  mutating func append(_ number: Int) {
    // 19 digits and a sign.
    reserve(20)
    if number < 0 { put(UInt8(ascii: "-")) }
    let magnitude = number.magnitude
    var places = 1
    var limit: UInt = 10
    while magnitude >= limit, places < 19 {
      places += 1
      limit = places < 19 ? limit * 10 : .max
    }
    putDigits(magnitude, places)
  }

  /// With so many digits, or as many as it has.
  mutating func append(_ number: Int, digits: Int) {
    var limit = 1
    for _ in 0..<digits { limit *= 10 }
    guard (0..<limit).contains(number) else { return append(number) }
    reserve(20)
    putDigits(UInt(number), digits)
  }

  private mutating func putDigits(_ number: UInt, _ places: Int) {
    var rest = number
    for place in stride(from: places - 1, through: 0, by: -1) {
      base.storeBytes(of: 0x30 + UInt8(rest % 10), toByteOffset: count + place, as: UInt8.self)
      rest /= 10
    }
    count += places
  }

  mutating func append(_ address: ClientAddress) {
    if let ipv4 = address.ipv4 {
      for place in 0..<4 {
        if place > 0 { append(UInt8(ascii: ".")) }
        append(Int(ipv4 >> UInt32(place * 8) & 0xff))
      }
    } else {
      append(IPv6Text.bytes(address.words))
    }
  }

  // MARK: What clients sent

  /// As nginx escapes its logs: quotation marks, backslashes, and all that is not printable ASCII, as `\xHH`.
  mutating func appendEscaped(_ text: UnsafeRawBufferPointer) {
    let cut = Self.cut(text)
    append(cut, as: .hexadecimal)
    if cut.count < text.count { append("...") }
  }

  /// The inside of a JSON string (RFC 8259 section 7). Bytes that are no UTF-8 become U+FFFD.
  mutating func appendJSON(_ text: UnsafeRawBufferPointer) {
    let cut = Self.cut(text)
    append(cut, as: .json)
    if cut.count < text.count { append("...") }
  }

  private static func cut(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: text.prefix(ServerLimits.accessLogFieldBytesMax))
  }

  private mutating func appendJSON(_ scalar: Unicode.Scalar) {
    switch scalar.value {
    case 0x22: append("\\\"")
    case 0x5c: append("\\\\")
    // The controls of ISO 6429, which are two bytes of UTF-8, make a terminal do things as well.
    case ..<0x20, 0x7f...0x9f:
      append("\\u00")
      appendHexadecimal(UInt8(scalar.value))
    default: for byte in UTF8.encode(scalar)! { append(byte) }
    }
  }

  private mutating func appendHexadecimal(_ byte: UInt8) {
    let digits: StaticString = "0123456789ABCDEF"
    append(digits.utf8Start[Int(byte >> 4)])
    append(digits.utf8Start[Int(byte & 15)])
  }

  private enum Escape { case hexadecimal, json }

  /// Copies stretches that need no escape as they are, eight bytes at a look.
  private mutating func append(_ text: UnsafeRawBufferPointer, as escape: Escape) {
    guard let start = text.baseAddress else { return }
    var copied = 0
    var position = 0
    while position < text.count {
      if text.count - position >= 8, Self.notPlain(start.word64(position)) == 0 {
        position += 8
        continue
      }
      // A byte alone, eight times over.
      if Self.notPlain(UInt64(text[position]) &* 0x0101_0101_0101_0101) != 0 {
        append(UnsafeRawBufferPointer(rebasing: text[copied..<position]))
        switch escape {
        case .hexadecimal:
          append("\\x")
          appendHexadecimal(text[position])
        case .json where text[position] >= 0x80:
          // Not ASCII, which is rare: slowly from here.
          let rest = UnsafeRawBufferPointer(rebasing: text[position...])
          for scalar in String(decoding: rest, as: UTF8.self).unicodeScalars { appendJSON(scalar) }
          return
        case .json: appendJSON(Unicode.Scalar(text[position]))
        }
        copied = position + 1
      }
      position += 1
    }
    append(UnsafeRawBufferPointer(rebasing: text[copied...]))
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
