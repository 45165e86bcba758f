/// The redirections of a site by path.
struct Redirects: Sendable {
  private enum Part {
    case bytes([UInt8])
    /// What a part of the pattern stands for; from 0.
    case capture(Int)
  }
  private struct Rule {
    let pattern: PathPattern
    let parts: [Part]
    let keepsQuery: Bool
    let status: Status
  }

  private let rules: [Rule]

  init() { rules = [] }

  init(_ settings: [RedirectRule]) throws(InvalidSetting) {
    var rules: [Rule] = []
    for setting in settings { rules.append(try Self.rule(setting)) }
    self.rules = rules
  }

  var isEmpty: Bool { rules.isEmpty }

  /// The redirection of a path, by the first rule that has one.
  ///
  /// - Parameters:
  ///   - path: decoded, with its leading slash.
  ///   - query: with its question mark, or empty.
  func response(for path: [UInt8], query: some Sequence<UInt8>) -> StatusResponse? {
    let slash = UInt8(ascii: "/")
    for rule in rules {
      guard let captures = rule.pattern.captures(path) else { continue }
      var location: [UInt8] = []
      for part in rule.parts {
        switch part {
        case .bytes(let bytes): location += bytes
        // Encoded again: what a client sent encoded must not become a line end, a query or another host.
        case .capture(let index): captures[index].appendPercentEncoded(to: &location)
        }
      }
      // Two slashes at the start would make the first name a host (RFC 3986 section 4.2).
      if location.first == slash {
        location.removeFirst(location.prefix { $0 == slash }.count - 1)
      }
      if rule.keepsQuery { location += query }
      return StatusResponse(rule.status, location: location)
    }
    return nil
  }

  private static func rule(_ setting: RedirectRule) throws(InvalidSetting) -> Rule {
    let name = "redirect of '\(setting.pattern)'"
    guard setting.pattern.hasPrefix("/") else { throw InvalidSetting(name, "the pattern must begin with a slash") }
    let pattern = try PathPattern(setting.pattern)
    guard let status = Status(rawValue: setting.status), Status.redirections.contains(status) else {
      throw InvalidSetting(name, "\(setting.status) is none of 301, 302, 303, 307 and 308")
    }
    let target = setting.target
    guard isSafe(target) else {
      throw InvalidSetting(name, "'\(target)' is neither a path nor an http or https URL with a path")
    }
    guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw InvalidSetting(name, "'\(target)' has bytes that must be percent-encoded")
    }
    return Rule(
      pattern: pattern, parts: try parts(of: target, captureCount: pattern.captureCount, name),
      keepsQuery: !target.utf8.contains(UInt8(ascii: "?")), status: status)
  }

  /// A path, or a URL whose host no client can choose.
  private static func isSafe(_ target: String) -> Bool {
    if target.hasPrefix("/") { return !target.hasPrefix("//") }
    guard let scheme = ["http://", "https://"].first(where: { target.hasPrefix($0) }) else { return false }
    let authority = target.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    return !authority.isEmpty && !authority.contains("$")
  }

  private static func parts(
    of target: String, captureCount: Int, _ name: String
  ) throws(InvalidSetting) -> [Part] {
    var parts: [Part] = []
    var literal: [UInt8] = []
    var rest = Array(target.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "$") else {
        literal.append(byte)
        continue
      }
      guard let next = rest.popFirst() else { throw InvalidSetting(name, "a $ at the end of '\(target)'") }
      if next == UInt8(ascii: "$") {
        literal.append(next)
      } else {
        let index = Int(next) - Int(UInt8(ascii: "1"))
        guard (0..<min(9, captureCount)).contains(index) else {
          throw InvalidSetting(name, "the pattern has nothing for $\(Character(Unicode.Scalar(next)))")
        }
        parts += [.bytes(literal), .capture(index)]
        literal = []
      }
    }
    return parts + [.bytes(literal)]
  }
}

extension Status {
  static let redirections: [Status] = [.movedPermanently, .found, .seeOther, .temporaryRedirect, .permanentRedirect]
}

extension Sequence<UInt8> {
  /// Appends the bytes as the path of a URL: all but the unreserved and slashes encoded (RFC 3986 section 2.1).
  func appendPercentEncoded(to bytes: inout [UInt8]) {
    let digits: StaticString = "0123456789ABCDEF"
    for byte in self {
      if byte.isUnreserved || byte == UInt8(ascii: "/") {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits.utf8Start[Int(byte >> 4)], digits.utf8Start[Int(byte & 15)]]
      }
    }
  }
}
