/// Where the reverse proxy sends requests: `http://127.0.0.1:3000`, `https://app.example.net`.
public struct UpstreamURL: Sendable, Hashable, CustomStringConvertible {
  public var isTLS: Bool
  /// A name or an address, IPv6 without its brackets.
  public var host: String
  public var port: UInt16

  public init(isTLS: Bool, host: String, port: UInt16) {
    self.isTLS = isTLS
    self.host = host
    self.port = port
  }

  /// What is wrong with a URL, as a sentence for the user.
  public struct Malformed: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// - Parameter text: `http://` or `https://`, a host, perhaps a port, perhaps a single slash.
  /// - Throws: `Malformed`
  public init(parsing text: String) throws {
    func fail(_ reason: String) -> Malformed {
      Malformed(description: "'\(text)' \(reason); write http://HOST:PORT, as in http://127.0.0.1:3000")
    }
    let lower = text.lowercased()
    guard let scheme = ["http://", "https://"].first(where: lower.hasPrefix) else {
      throw fail("is no http or https URL")
    }
    isTLS = scheme == "https://"
    var authority = text.dropFirst(scheme.count)
    if authority.hasSuffix("/") { authority.removeLast() }
    guard !authority.contains(where: { "/?#".contains($0) }) else {
      throw fail("has a path, and requests keep their own")
    }
    guard !authority.contains("@") else { throw fail("has a user name") }
    var portText: Substring?
    if authority.hasPrefix("[") {
      guard let bracket = authority.firstIndex(of: "]") else { throw fail("has no host") }
      host = String(authority[authority.index(after: authority.startIndex)..<bracket])
      let rest = authority[authority.index(after: bracket)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { throw fail("has no port after its address") }
      portText = rest.isEmpty ? nil : rest.dropFirst()
      guard host.contains(":") else { throw fail("has no IPv6 address in its brackets") }
    } else {
      let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      host = String(parts[0])
      portText = parts.count > 1 ? parts[1] : nil
    }
    let isInside = { (byte: UInt8) in ByteClass.shared.contains(byte, ByteClass.hostName) || byte == 0x3a }
    guard !host.isEmpty, host.utf8.allSatisfy(isInside) else { throw fail("has no host") }
    if let portText {
      guard let number = UInt16(portText), number > 0 else { throw fail("has no port from 1 to 65535") }
      port = number
    } else {
      port = isTLS ? 443 : 80
    }
  }

  /// Host and port as a `ListenAddress` reads them.
  public var listenText: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// As in a Host field: without the port where that is the scheme's own (RFC 9110 section 7.2).
  var authority: String {
    let name = host.contains(":") ? "[\(host)]" : host
    return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
  }

  public var description: String { (isTLS ? "https://" : "http://") + authority }
}
