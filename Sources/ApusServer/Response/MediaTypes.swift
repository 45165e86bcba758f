/// The media types of a site: Apus's own, and what the site has in their place.
struct MediaTypes: Sendable {
  private let byExtension: [[UInt8]: String]
  private let charset: String?

  init() {
    byExtension = [:]
    charset = Self.tableCharset
  }

  /// - Parameters:
  ///   - overrides: by extension.
  ///   - charset: said of text that does not say it itself.
  init(overrides: [String: String], charset: String?) throws(InvalidSetting) {
    var table: [[UInt8]: String] = [:]
    for (name, type) in overrides {
      let bare = name.hasPrefix(".") ? String(name.dropFirst()) : name
      guard !bare.isEmpty, !bare.utf8.contains(UInt8(ascii: "/")), !bare.utf8.contains(UInt8(ascii: ".")) else {
        throw InvalidSetting("media type of '\(name)'", "'\(name)' is no extension of a name")
      }
      guard Self.isMediaType(type) else {
        throw InvalidSetting("media type of '\(name)'", "'\(type)' is no media type")
      }
      table[Self.lowercased(bare.utf8)] = type
    }
    if let charset, !Self.isToken(charset[...]) {
      throw InvalidSetting("charset", "'\(charset)' is no name of one")
    }
    byExtension = table
    self.charset = charset
  }

  /// The Content-Type of a file name, or of a path that ends with one.
  func of(name: [UInt8]) -> String {
    if !byExtension.isEmpty, let dot = name.lastIndex(of: UInt8(ascii: ".")),
      let type = byExtension[Self.lowercased(name[(dot + 1)...])]
    {
      let saysCharset = type.lowercased().contains("charset=")
      return !saysCharset && type.lowercased().hasPrefix("text/") ? type + suffix : type
    }
    let type = MediaType.of(name: name)
    guard charset != Self.tableCharset, type.hasSuffix(Self.tableSuffix) else { return type }
    return type.dropLast(Self.tableSuffix.count) + suffix
  }

  private var suffix: String { charset.map { "; charset=\($0)" } ?? "" }

  /// What the table of `MediaType` says.
  private static let tableCharset = "utf-8"
  private static let tableSuffix = "; charset=utf-8"

  private static func lowercased(_ text: some Sequence<UInt8>) -> [UInt8] {
    text.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }
  }

  private static func isToken(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { ByteClass.shared.contains($0, ByteClass.token) }
  }

  /// `type "/" subtype`, and parameters that may stand in a field (RFC 9110 section 8.3.1).
  private static func isMediaType(_ text: String) -> Bool {
    let parts = text.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
    let names = parts[0].split(separator: "/", omittingEmptySubsequences: false)
    guard names.count == 2, names.allSatisfy(isToken) else { return false }
    return text.utf8.allSatisfy { ByteClass.shared.contains($0, ByteClass.fieldValue) } && text.last != ";"
      && text.last != " "
  }
}
