import NIOCore

/// A request to be passed on, whatever version of HTTP it came in. What the upstream gets is written anew from the
/// parts: not a byte of the client's own framing reaches it.
struct ProxyRequest {
  /// What is known of a request beside its head.
  struct Origin {
    /// The client's address as in X-Forwarded-For: IPv6 without brackets.
    var clientAddress: String
    var isTLS: Bool
    /// As in Via: `1.0`, `1.1`, `2.0`.
    var version: StaticString
  }

  enum Refusal: Error, Equatable {
    case malformed
    /// It has passed Apus too often.
    case loop
    case methodNotAllowed
  }

  private let section: FieldSection
  private let methodRange: Range<Int>
  /// Path and query, or `*`.
  private let target: [UInt8]
  private let authority: [UInt8]
  private let origin: Origin
  let framing: BodyFraming
  /// The protocol the client asks to change to, where it is one Apus passes on: only WebSocket (RFC 6455).
  let upgrade: Bool
  let expectsContinue: Bool

  /// - Parameters:
  ///   - bytes: the head as HTTP/1, perhaps with more behind it.
  ///   - head: what the request parser found in them.
  init(_ bytes: UnsafeRawBufferPointer, length: Int, head: RequestHead, origin: Origin) throws(Refusal) {
    let isRequest11 = head.is11
    do {
      section = try FieldSection(head: Array(bytes[..<length]))
    } catch {
      throw .malformed
    }
    let start = section.startLine.lowerBound
    guard let space = section.bytes[section.startLine].firstIndex(of: 0x20) else { throw .malformed }
    methodRange = start..<space
    // CONNECT is for forward proxies; TRACE would show what this proxy adds (RFC 9110 section 9.3.8).
    guard !section.bytes[methodRange].elementsEqual("CONNECT".utf8),
      !section.bytes[methodRange].elementsEqual("TRACE".utf8)
    else { throw .methodNotAllowed }
    if head.path.isEmpty, head.query.isEmpty, head.method == .options {
      target = [UInt8(ascii: "*")]
    } else {
      let path = head.path.isEmpty ? [UInt8(ascii: "/")] : Array(bytes[head.path])
      target = path + Array(bytes[head.query])
    }
    authority = Array(bytes[head.host])
    self.origin = origin
    framing = head.framing
    expectsContinue = head.expectsContinue
    upgrade =
      isRequest11 && framing == .none && section.hasMember("connection", "upgrade")
      && section.members("upgrade").count == 1 && section.hasMember("upgrade", "websocket")
    let passes = section.lines.filter { section.isNamed($0, "via") && Self.names(section.value($0), "apus") }.count
    guard passes < ProxyLimits.passesMax else { throw .loop }
  }

  private static func names(_ value: ArraySlice<UInt8>, _ pseudonym: String) -> Bool {
    value.split(separator: UInt8(ascii: " ")).contains {
      $0.prefix(while: { $0 != 0x2c }).elementsEqual(pseudonym.utf8)
    }
  }

  var method: String { String(decoding: section.bytes[methodRange], as: UTF8.self) }
  var isHead: Bool { section.bytes[methodRange].elementsEqual("HEAD".utf8) }
  var hasBody: Bool { framing != .none && framing != .length(0) }

  /// Whether it may be sent again where nobody knows if it was carried out (RFC 9110 section 9.2.2).
  var isRepeatable: Bool { !hasBody && ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].contains(method) }

  /// Fields of the client that are not passed on: those the proxy writes itself, and those it knows nothing of. No
  /// proxy in front of Apus is trusted, so what a client says of clients before it is dropped.
  private static let own: [StaticString] = [
    "host", "expect", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
    "x-real-ip",
    // Becomes HTTP_PROXY in a CGI program's environment (CVE-2016-5385).
    "proxy",
  ]

  /// The head the upstream gets.
  ///
  /// - Parameter upstream: for a request without Host, as HTTP/1.0 allows.
  func head(upstream: UpstreamURL) -> ByteBuffer {
    var head = ByteBuffer()
    head.reserveCapacity(section.bytes.count + 256)
    head.writeBytes(section.bytes[methodRange])
    head.writeInteger(UInt8(ascii: " "))
    head.writeBytes(target)
    head.writeStaticString(" HTTP/1.1\r\nHost: ")
    let host = authority.isEmpty ? Array(upstream.authority.utf8) : authority
    head.writeBytes(host)
    head.writeStaticString("\r\n")
    for line in section.endToEnd(except: Self.own) where !isDisguised(line) {
      head.writeField(section.bytes[line.name], section.value(line))
    }
    writeForwarding(to: &head)
    switch framing {
    case .none, .untilClose: break
    case .length(let length): head.writeString("Content-Length: \(length)\r\n")
    case .chunked: head.writeStaticString("Transfer-Encoding: chunked\r\n")
    }
    if upgrade { head.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
    head.writeStaticString("\r\n")
    return head
  }

  /// CGI and its kin take `X_Forwarded_For` for `X-Forwarded-For`.
  private func isDisguised(_ line: FieldSection.Line) -> Bool {
    guard section.bytes[line.name].contains(UInt8(ascii: "_")) else { return false }
    let name = section.bytes[line.name].map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
    return Self.own.contains { name.isEqualIgnoringCase(0..<name.count, $0) }
  }

  /// Via (RFC 9110 section 7.6.3), Forwarded (RFC 7239) and what is older than it and better known.
  private func writeForwarding(to head: inout ByteBuffer) {
    let scheme = origin.isTLS ? "https" : "http"
    let client = origin.clientAddress
    let node = client.contains(":") ? "\"[\(client)]\"" : client
    head.writeString("Via: \(origin.version) apus\r\nForwarded: for=\(node);proto=\(scheme)")
    if !authority.isEmpty {
      // A host has no quotation mark and no backslash (`HostName`).
      head.writeStaticString(";host=\"")
      head.writeBytes(authority)
      head.writeStaticString("\"\r\nX-Forwarded-Host: ")
      head.writeBytes(authority)
    }
    head.writeString("\r\nX-Forwarded-For: \(client)\r\nX-Forwarded-Proto: \(scheme)\r\n")
  }
}

extension ByteBuffer {
  mutating func writeField(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
    writeBytes(name)
    writeStaticString(": ")
    writeBytes(value)
    writeStaticString("\r\n")
  }
}
