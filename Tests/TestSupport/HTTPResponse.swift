/// A response as a client understood it (RFC 9112).
public struct HTTPResponse: Sendable {
  public var version = ""
  public var status = 0
  /// Field lines in order, names in lower case.
  public var fields: [(name: String, value: String)] = []
  public var body: [UInt8] = []
  /// The head as received, with its empty line.
  public var head: [UInt8] = []

  /// The value of the first field line of that name.
  public subscript(field: String) -> String? { fields.first { $0.name == field.lowercased() }?.value }

  /// Whether the connection persists after this response (RFC 9112 section 9.3).
  public var persists: Bool {
    let options = (self["connection"] ?? "").lowercased()
    if options.contains("close") { return false }
    return version == "HTTP/1.1" || options.contains("keep-alive")
  }

  /// Parses a head that ends with its empty line.
  init(head: [UInt8]) throws {
    self.head = head
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: true)
    let start = (lines.first ?? "").split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard start.count >= 2, start[0].hasPrefix("HTTP/1."), start[1].utf8.count == 3, let status = Int(start[1]) else {
      throw SupportError("no status line: \(lines.first ?? "")")
    }
    version = String(start[0])
    self.status = status
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { throw SupportError("no field line: \(line)") }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      fields.append((line[..<colon].lowercased(), String(value)))
    }
  }

  /// How the body ends (RFC 9112 section 6.3).
  enum Framing: Equatable {
    case none
    case length(Int)
    case chunked
    case untilClose
  }

  func framing(requestMethod: String) throws -> Framing {
    if requestMethod == "HEAD" || status == 304 || status == 204 || status < 200 { return .none }
    if self["transfer-encoding"]?.lowercased() == "chunked" { return .chunked }
    guard let value = self["content-length"] else { return .untilClose }
    guard let length = Int(value), length >= 0 else { throw SupportError("Content-Length: \(value)") }
    return .length(length)
  }
}
