/// The directives of a message's Cache-Control (RFC 9111 section 5.2), all its field lines together.
struct CacheControl: Equatable {
  struct Directive: Equatable {
    /// In lower case.
    var name: String
    /// The token or the content of the quoted string behind "=", `nil` without one.
    var argument: String?
  }

  /// What a directive of seconds says.
  enum Seconds: Equatable {
    case absent
    case seconds(Int)
    /// No number, or several ones: freshness information nobody can rely on (RFC 9111 section 4.2.1).
    case invalid
  }

  private(set) var directives: [Directive] = []
  /// Not a list of directives: whoever wrote it may have meant anything.
  private(set) var isMalformed = false

  /// - Parameter values: of the field lines, in order.
  init(_ values: [String]) {
    for value in values {
      var scanner = Scanner(bytes: Array(value.utf8))
      while let directive = scanner.next() { directives.append(directive) }
      if scanner.isMalformed { isMalformed = true }
    }
  }

  func has(_ name: String) -> Bool { directives.contains { $0.name == name } }

  /// A directive of delta-seconds (RFC 9111 section 1.2.2). The quoted form is read like the other one (section 5.2).
  /// The same number said twice is that number.
  func seconds(_ name: String) -> Seconds {
    let values = directives.filter { $0.name == name }.map { $0.argument.flatMap(DeltaSeconds.parse) }
    guard let first = values.first else { return .absent }
    guard let first, values.allSatisfy({ $0 == first }) else { return .invalid }
    return .seconds(first)
  }

  /// Reads `1#( token [ "=" ( token / quoted-string ) ] )`.
  private struct Scanner {
    let bytes: [UInt8]
    var position = 0
    var isMalformed = false

    private var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The next directive; `nil` at the end, and where the list goes wrong.
    mutating func next() -> Directive? {
      // Empty members of a list are ignored (RFC 9110 section 5.6.1.2).
      while let byte, Self.isBlank(byte) || byte == UInt8(ascii: ",") { position += 1 }
      guard byte != nil else { return nil }
      guard let name = token() else { return fail() }
      var directive = Directive(name: name.lowercased())
      if byte == UInt8(ascii: "=") {
        position += 1
        guard let argument = byte == UInt8(ascii: "\"") ? quoted() : token() else { return fail() }
        directive.argument = argument
      }
      while let byte, Self.isBlank(byte) { position += 1 }
      guard byte == nil || byte == UInt8(ascii: ",") else { return fail() }
      return directive
    }

    private mutating func fail() -> Directive? {
      isMalformed = true
      position = bytes.count
      return nil
    }

    private mutating func token() -> String? {
      let start = position
      while let byte, Self.isTokenByte(byte) { position += 1 }
      return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    /// A quoted string (RFC 9110 section 5.6.4); `nil` if it does not end.
    private mutating func quoted() -> String? {
      var text: [UInt8] = []
      position += 1
      while let byte {
        position += 1
        if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
        guard byte == UInt8(ascii: "\\") else {
          text.append(byte)
          continue
        }
        guard let escaped = self.byte else { return nil }
        text.append(escaped)
        position += 1
      }
      return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
    }
  }
}

/// A number of seconds as caches write it (RFC 9111 section 1.2.2).
enum DeltaSeconds {
  /// What is larger counts as this.
  static let max_s = 1 << 31

  /// `nil` unless the text is digits.
  static func parse(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
      return nil
    }
    return min(Int(text) ?? max_s, max_s)
  }
}
