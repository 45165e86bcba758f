/// Finds the name a programmer gave to a function or variable in the name the linker knows it by.
///
/// Swift's mangling (docs/ABI/Mangling.rst) begins `$e` (Embedded) or `$s`, then come the module, the enclosing
/// types and the declaration's own name, each prefixed by its length. So `$e6Server8connsMapSivp` is `connsMap`.
struct SwiftSymbol {
  private let bytes: [UInt8]
  private var position = 2
  /// Words of the identifiers so far: later ones may refer to them by a letter.
  private var words: [ArraySlice<UInt8>] = []

  /// The declaration's own name; any other symbol, such as a C function's, is its own name.
  static func identifier(in symbol: String) -> String {
    guard symbol.hasPrefix("$e") || symbol.hasPrefix("$s") else { return symbol }
    var parser = SwiftSymbol(bytes: Array(symbol.utf8))
    guard parser.nextIdentifier() != nil, var name = parser.nextIdentifier() else { return symbol }
    // V, O and C mark a struct, enum or class that encloses what follows.
    while let kind = parser.peek(), "VOC".utf8.contains(kind) {
      parser.position += 1
      guard let inner = parser.nextIdentifier() else { break }
      name = inner
    }
    return String(decoding: name, as: UTF8.self)
  }

  private init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  private func peek() -> UInt8? {
    position < bytes.count ? bytes[position] : nil
  }

  private mutating func nextIdentifier() -> [UInt8]? {
    guard let first = peek(), Self.isDigit(first) else { return nil }
    guard first == UInt8(ascii: "0") else { return nextLiteral() }
    position += 1
    // `00` begins an identifier in Punycode: no name of ours.
    if peek() == UInt8(ascii: "0") { return nil }
    var name: [UInt8] = []
    var expectsWords = true
    repeat {
      while expectsWords, let letter = peek(), !Self.isDigit(letter) {
        position += 1
        let isLast = Self.isUpper(letter)
        let index = Int(letter) - Int(isLast ? UInt8(ascii: "A") : UInt8(ascii: "a"))
        guard words.indices.contains(index) else { return nil }
        name += words[index]
        expectsWords = !isLast
      }
      if peek() == UInt8(ascii: "0") {
        position += 1
        break
      }
      guard let literal = nextLiteral() else { return nil }
      name += literal
    } while expectsWords
    return name
  }

  /// A length and that many bytes.
  private mutating func nextLiteral() -> [UInt8]? {
    var length = 0
    while let digit = peek(), Self.isDigit(digit), length < bytes.count {
      length = length * 10 + Int(digit - UInt8(ascii: "0"))
      position += 1
    }
    guard length > 0, length <= bytes.count - position else { return nil }
    let literal = bytes[position..<position + length]
    position += length
    rememberWords(of: literal)
    return Array(literal)
  }

  /// A word ends before `_` or a capital after a small letter and has at least two characters.
  private mutating func rememberWords(of literal: ArraySlice<UInt8>) {
    var start: Int?
    for index in literal.startIndex...literal.endIndex {
      let character = index < literal.endIndex ? literal[index] : UInt8(ascii: "_")
      if let begin = start, index > begin,
        character == UInt8(ascii: "_") || (!Self.isUpper(literal[index - 1]) && Self.isUpper(character))
      {
        if index - begin >= 2, words.count < 26 { words.append(literal[begin..<index]) }
        start = nil
      }
      if start == nil, !Self.isDigit(character), character != UInt8(ascii: "_") { start = index }
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
  private static func isUpper(_ byte: UInt8) -> Bool { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte }
}
