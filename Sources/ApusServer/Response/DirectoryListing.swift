import Glibc

/// What is in a directory, as a page for people or as JSON.
struct DirectoryListing: Sendable {
  struct Entry: Sendable, Equatable {
    var name: [UInt8]
    var isDirectory: Bool
    /// In bytes; of a directory it means nothing.
    var size: Int
    /// Seconds since 1970.
    var modified_s: Int
  }

  /// The directory's path, decoded: `/pictures/`.
  let path: [UInt8]
  /// Directories first, then by name.
  let entries: [Entry]
  /// Whether there are more than are listed.
  let isCut: Bool

  init(path: [UInt8], entries: [Entry], isCut: Bool = false) {
    self.path = path
    self.entries = entries.sorted {
      $0.isDirectory != $1.isDirectory ? $0.isDirectory : $0.name.lexicographicallyPrecedes($1.name)
    }
    self.isCut = isCut
  }

  // MARK: HTML

  private static let style = """

    body { font-family: system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
    h1 { font-size: 1.25em; overflow-wrap: anywhere }
    table { border-collapse: collapse; width: 100% }
    th, td { padding: 0.25em 0.5em; text-align: left }
    td:first-child { overflow-wrap: anywhere }
    tr > :nth-child(n + 2) { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
    tbody tr:hover { background: #8882 }

    """

  /// Of `style`, for Content-Security-Policy (CSP Level 3 section 2.3.1): no other style, and no script, has a say.
  private static let styleDigest = "sha256-K9HBOH9yZz2bYDixRxDyrkK9C/K2o7FPVVu0O2JNbmU="

  var html: [UInt8] {
    let title = "Index of " + Self.escaped(String(decoding: path, as: UTF8.self))
    var text = """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <meta name="color-scheme" content="light dark">
      <title>\(title)</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <h1>\(title)</h1>
      <table>
      <thead><tr><th scope="col">Name</th><th scope="col">Size</th><th scope="col">Modified (UTC)</th></tr></thead>
      <tbody>

      """
    if path.count > 1 { text += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n" }
    for entry in entries {
      let name = Self.escaped(String(decoding: entry.name, as: UTF8.self)) + (entry.isDirectory ? "/" : "")
      let size = entry.isDirectory ? "" : Self.readable(entry.size)
      text += "<tr><td><a href=\"\(Self.reference(entry))\">\(name)</a></td><td>\(size)</td>"
      text += "<td>\(Self.time(entry.modified_s, "%Y-%m-%d %H:%M"))</td></tr>\n"
    }
    text += "</tbody>\n</table>\n"
    if isCut { text += "<p>There are more than these \(entries.count).</p>\n" }
    return Array((text + "</body>\n</html>\n").utf8)
  }

  /// The entry's URL relative to the directory's.
  private static func reference(_ entry: Entry) -> String {
    var bytes: [UInt8] = []
    entry.name.appendPercentEncoded(to: &bytes)
    return String(decoding: bytes, as: UTF8.self) + (entry.isDirectory ? "/" : "")
  }

  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }

  /// In powers of 1024, with a decimal where there is but one digit before it.
  static func readable(_ bytes: Int) -> String {
    var value = bytes
    var tenths = 0
    var unit = "B"
    for larger in ["KB", "MB", "GB", "TB", "PB"] where value >= 1024 {
      tenths = value % 1024 * 10 / 1024
      value /= 1024
      unit = larger
    }
    return unit != "B" && value < 10 ? "\(value).\(tenths) \(unit)" : "\(value) \(unit)"
  }

  static func time(_ seconds: Int, _ format: String) -> String {
    var seconds = seconds
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil else { return "" }
    var text = [CChar](repeating: 0, count: 64)
    let count = strftime(&text, text.count, format, &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: JSON

  /// An array of objects with `name`, `type` (`file` or `directory`), `size` in bytes (of files) and `modified`
  /// (RFC 3339).
  var json: [UInt8] {
    var text = "["
    for (index, entry) in entries.enumerated() {
      text += index == 0 ? "\n" : ",\n"
      text += "{\"name\": \(Self.quoted(String(decoding: entry.name, as: UTF8.self))), "
      text += "\"type\": \"\(entry.isDirectory ? "directory" : "file")\", "
      if !entry.isDirectory { text += "\"size\": \(entry.size), " }
      text += "\"modified\": \"\(Self.time(entry.modified_s, "%Y-%m-%dT%H:%M:%SZ"))\"}"
    }
    return Array((text + "\n]\n").utf8)
  }

  /// A string of RFC 8259 section 7.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\" + String(Character(scalar))
      case "\u{0}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  // MARK: Answers

  /// The two representations.
  enum Format {
    case html, json

    /// What the Accept field of a request prefers (RFC 9110 section 12.5.1); the page, where both are as good.
    init(accept: UnsafeRawBufferPointer) {
      var html = 0.0
      var json = 0.0
      for member in accept.split(separator: UInt8(ascii: ",")) {
        let parts = String(decoding: member, as: UTF8.self).lowercased().split(separator: ";")
          .map { $0.filter { $0 != " " && $0 != "\t" } }
        let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
        switch parts.first {
        case "text/html": html = max(html, weight)
        case "application/json": json = max(json, weight)
        default: break
        }
      }
      self = json > html ? .json : .html
    }

    var mediaType: String { self == .html ? "text/html; charset=utf-8" : "application/json" }
  }

  /// - Parameter lines: field lines of the site's rules.
  func head(_ format: Format, contentLength: Int, lines: [UInt8], persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.ok)
    head.add("Content-Type", format.mediaType)
    head.add("Content-Length", String(contentLength))
    head.add("Vary", "Accept")
    // The page runs nothing, whatever somebody managed to write into a name.
    if format == .html { head.add("Content-Security-Policy", "default-src 'none'; style-src '\(Self.styleDigest)'") }
    head.add(lines: lines)
    return head.finished(persistent: persistent)
  }
}
