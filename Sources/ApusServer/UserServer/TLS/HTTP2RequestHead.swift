import NIOCore
import NIOHPACK

/// Writes the head of an HTTP/2 request as HTTP/1.1 would have it, so that one parser decides for all versions what is
/// a request (RFC 9113 section 8.3.1).
///
/// What could mean something else in HTTP/1 than in HTTP/2 is refused before: above all a line end in a name, a value
/// or the path, by which requests have been smuggled through such translations.
struct HTTP2RequestHead {
  /// RFC 9113 section 8.1.1.
  struct Malformed: Error, Equatable {}

  let bytes: ByteBuffer
  let isHead: Bool
  /// Whether the body is to be written in chunks because its length is not given.
  let isChunked: Bool

  init(_ headers: HPACKHeaders, endStream: Bool) throws(Malformed) {
    var pseudo: [String: String] = [:]
    var cookies: [String] = []
    var fields = ByteBuffer()
    var host: String?
    var hasLength = false
    for (name, value, _) in headers {
      guard value.utf8.allSatisfy({ ByteClass.shared.contains($0, ByteClass.fieldValue) }) else { throw Malformed() }
      if name.hasPrefix(":") {
        guard pseudo.updateValue(value, forKey: name) == nil else { throw Malformed() }
        continue
      }
      guard !name.isEmpty,
        name.utf8.allSatisfy({ ByteClass.shared.contains($0, ByteClass.token) && !(0x41...0x5a).contains($0) })
      else { throw Malformed() }
      switch name {
      // Section 8.2.2.
      case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade": throw Malformed()
      case "te":
        guard value == "trailers" else { throw Malformed() }
      case "host":
        guard host == nil else { throw Malformed() }
        host = value
      // Section 8.2.3: one field again, as HTTP/1 knows it.
      case "cookie": cookies.append(value)
      case "content-length":
        hasLength = true
        fields.writeField(name.utf8, value.utf8)
      default: fields.writeField(name.utf8, value.utf8)
      }
    }
    if !cookies.isEmpty { fields.writeField("cookie".utf8, cookies.joined(separator: "; ").utf8) }
    guard let method = pseudo[":method"], !method.isEmpty,
      method.utf8.allSatisfy({ ByteClass.shared.contains($0, ByteClass.token) }),
      let target = Self.target(pseudo, method: method)
    else { throw Malformed() }
    // Where there are both they must say the same (section 8.3.1).
    let authority = pseudo[":authority"]
    if let host, let authority, host.lowercased() != authority.lowercased() { throw Malformed() }
    isHead = method == "HEAD"
    isChunked = !endStream && !hasLength
    var bytes = ByteBuffer(string: "\(method) \(target) HTTP/1.1\r\n")
    if let authority = authority ?? host { bytes.writeField("host".utf8, authority.utf8) }
    bytes.writeBuffer(&fields)
    if isChunked { bytes.writeStaticString("transfer-encoding: chunked\r\n") }
    bytes.writeStaticString("\r\n")
    self.bytes = bytes
  }

  private static func target(_ pseudo: [String: String], method: String) -> String? {
    if method == "CONNECT" {
      guard pseudo[":scheme"] == nil, pseudo[":path"] == nil else { return nil }
      return pseudo[":authority"]
    }
    guard let path = pseudo[":path"], let scheme = pseudo[":scheme"], scheme == "https" || scheme == "http",
      path.hasPrefix("/") || (path == "*" && method == "OPTIONS"),
      path.utf8.allSatisfy({ ByteClass.shared.contains($0, ByteClass.target) })
    else { return nil }
    return path
  }
}
