/// A pattern of paths, as in .gitignore and shells.
///
/// - `*` stands for any bytes but slashes, `?` for one, `**` for any bytes, `**/` for any directories or none.
/// - A pattern that begins with a slash is about the whole path. Any other is about its end: `*.css` is `/**/*.css`.
///
/// Paths are compared decoded, byte by byte. The time it takes is at most the length of the pattern times that of the
/// path, whatever the two are.
struct PathPattern: Sendable, Equatable {
  private enum Token: Equatable {
    case bytes([UInt8])
    /// `?`
    case one
    /// `*`
    case some
    /// `**`
    case all
    /// `**/`
    case directories

    var captures: Bool { self == .some || self == .all || self == .directories }
  }

  /// A bit of a word for each, and one for the end.
  private static let tokensMax = 63

  private let tokens: [Token]

  init(_ pattern: String) throws(InvalidSetting) {
    var tokens: [Token] = []
    var literal: [UInt8] = []
    func endLiteral() {
      if !literal.isEmpty { tokens.append(.bytes(literal)) }
      literal = []
    }
    let anchored = pattern.hasPrefix("/") ? pattern : "/**/" + pattern
    var rest = Array(anchored.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "?"):
        endLiteral()
        tokens.append(.one)
      case UInt8(ascii: "*") where rest.first == UInt8(ascii: "*"):
        rest.removeFirst()
        // Only a name of its own stands for directories: `a**/b` means what it says.
        let isName = literal.last == UInt8(ascii: "/") && rest.first == UInt8(ascii: "/")
        endLiteral()
        if isName { rest.removeFirst() }
        tokens.append(isName ? .directories : .all)
      case UInt8(ascii: "*"):
        endLiteral()
        tokens.append(.some)
      default:
        literal.append(byte)
      }
    }
    endLiteral()
    guard !pattern.isEmpty, !pattern.utf8.contains(0) else {
      throw InvalidSetting("pattern '\(pattern)'", "matches no path")
    }
    guard tokens.count <= Self.tokensMax else {
      throw InvalidSetting("pattern '\(pattern)'", "has too many parts")
    }
    self.tokens = tokens
  }

  /// How many `*`, `**` and `**/` there are. Of a pattern without a leading slash the one in front counts, too.
  var captureCount: Int { tokens.count { $0.captures } }

  func matches(_ path: [UInt8]) -> Bool { reach(path)[0] & 1 != 0 }

  /// What each `*`, `**` and `**/` stands for, the first ones for as little as possible; `nil` where the path does not
  /// match.
  func captures(_ path: [UInt8]) -> [ArraySlice<UInt8>]? {
    let reach = reach(path)
    guard reach[0] & 1 != 0 else { return nil }
    var captures: [ArraySlice<UInt8>] = []
    var position = 0
    for (index, token) in tokens.enumerated() {
      switch token {
      case .bytes(let bytes): position += bytes.count
      case .one: position += 1
      case .some, .all, .directories:
        let next: UInt64 = 1 << UInt64(index + 1)
        let end = (position...path.count).first { end in
          let isName = token != .directories || end == position || path[end - 1] == UInt8(ascii: "/")
          return isName && reach[end] & next != 0
        }
        guard let end else { preconditionFailure("a path that matches is matched to its end") }
        captures.append(path[position..<end])
        position = end
      }
    }
    return captures
  }

  /// For each position of the path, and its end: which tokens, by their bits, can match from there to the end. The bit
  /// behind the last token is the end itself.
  private func reach(_ path: [UInt8]) -> [UInt64] {
    let slash = UInt8(ascii: "/")
    var reach = [UInt64](repeating: 0, count: path.count + 1)
    // Tokens that match somewhere behind this position, where a name begins.
    var behind: UInt64 = 0
    for position in stride(from: path.count, through: 0, by: -1) {
      var here: UInt64 = position == path.count ? 1 << UInt64(tokens.count) : 0
      for index in stride(from: tokens.count - 1, through: 0, by: -1) {
        let own: UInt64 = 1 << UInt64(index)
        let next = own << 1
        let matches =
          switch tokens[index] {
          case .bytes(let bytes):
            path.count - position >= bytes.count && reach[position + bytes.count] & next != 0
              && path[position...].starts(with: bytes)
          case .one: position < path.count && path[position] != slash && reach[position + 1] & next != 0
          case .some:
            here & next != 0 || position < path.count && path[position] != slash && reach[position + 1] & own != 0
          case .all: here & next != 0 || position < path.count && reach[position + 1] & own != 0
          case .directories: here & next != 0 || behind & next != 0
          }
        if matches { here |= own }
      }
      reach[position] = here
      if position > 0, path[position - 1] == slash { behind |= here }
    }
    return reach
  }
}
