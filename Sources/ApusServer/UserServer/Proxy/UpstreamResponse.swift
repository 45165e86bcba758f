import NIOCore

/// The head of an upstream's response (RFC 9112 section 4), read as strictly as a request's.
struct UpstreamResponse {
  struct Malformed: Error {
    let reason: StaticString
    init(_ reason: StaticString) { self.reason = reason }
  }

  let section: FieldSection
  /// 100...999
  let status: Int
  let framing: BodyFraming
  /// Whether the connection may be used again after the response (RFC 9112 section 9.3).
  let isPersistent: Bool
  /// The value of Content-Length, which a response to HEAD has without a body.
  let contentLength: Int?
  private let reason: Range<Int>

  /// The next head of a connection; `nil` where more of it must come.
  static func next(_ input: inout ByteBuffer, toHead: Bool) throws -> UpstreamResponse? {
    let view = input.readableBytesView
    guard let length = headLength(view) else {
      if view.count > ProxyLimits.headBytesMax { throw Malformed("head too large") }
      return nil
    }
    guard length <= ProxyLimits.headBytesMax else { throw Malformed("head too large") }
    let head = Array(view.prefix(length))
    input.moveReaderIndex(forwardBy: length)
    return try UpstreamResponse(head, toHead: toHead)
  }

  private static func headLength(_ view: ByteBufferView) -> Int? {
    view.withUnsafeBytes { bytes in
      var index = 0
      while let end = bytes[index...].firstIndex(of: 0x0a) {
        index = end + 1
        // An empty line of either kind: the parser refuses the one with a bare LF.
        if bytes.count > end + 1, bytes[end + 1] == 0x0a { return end + 2 }
        if bytes.count > end + 2, bytes[end + 1] == 0x0d, bytes[end + 2] == 0x0a { return end + 3 }
      }
      return nil
    }
  }

  init(_ head: [UInt8], toHead: Bool) throws {
    do {
      section = try FieldSection(head: head, linesMax: ProxyLimits.fieldLinesMax)
    } catch {
      throw Malformed(error.reason)
    }
    let line = section.startLine
    let text = section.bytes[line]
    // `HTTP/1.1 200 OK`; the reason may be missing, and often its space with it.
    guard line.lowerBound == 0, text.count >= 12, text.starts(with: "HTTP/1.".utf8),
      text[7] == UInt8(ascii: "0") || text[7] == UInt8(ascii: "1"), text[8] == 0x20,
      let status = Int(String(decoding: text[9..<12], as: UTF8.self)), (100...999).contains(status),
      text.count == 12 || text[12] == 0x20,
      text.allSatisfy({ ByteClass.shared.contains($0, ByteClass.fieldValue) })
    else { throw Malformed("status line") }
    self.status = status
    reason = min(13, line.upperBound)..<line.upperBound
    contentLength = try Self.contentLength(section)
    let codings = section.members("transfer-encoding")
    let hasBody = !toHead && status >= 200 && status != 204 && status != 304
    // Both fields, or a coding an HTTP/1.0 server cannot know: somebody on the way is confused (RFC 9112 section 6.1).
    if !codings.isEmpty {
      guard contentLength == nil else { throw Malformed("Content-Length and Transfer-Encoding") }
      guard text[7] == UInt8(ascii: "1") else { throw Malformed("Transfer-Encoding in HTTP/1.0") }
      guard codings.count == 1, section.hasMember("transfer-encoding", "chunked") else {
        throw Malformed("transfer coding")
      }
    } else if section.lines.contains(where: { [section] in section.isNamed($0, "transfer-encoding") }) {
      throw Malformed("transfer coding")
    }
    if !hasBody {
      framing = .none
    } else if !codings.isEmpty {
      framing = .chunked
    } else {
      framing = contentLength.map(BodyFraming.length) ?? .untilClose
    }
    let closes = section.hasMember("connection", "close")
    let keepsAlive = text[7] == UInt8(ascii: "1") || section.hasMember("connection", "keep-alive")
    isPersistent = !closes && keepsAlive && framing != .untilClose
  }

  /// Equal values in one list or several lines are one (RFC 9110 section 8.6).
  private static func contentLength(_ section: FieldSection) throws -> Int? {
    var length: Int?
    for line in section.lines where section.isNamed(line, "content-length") {
      let members = section.value(line).split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      for member in members {
        let digits = member.drop { $0 == 0x20 }.prefix { $0 != 0x20 }
        guard !digits.isEmpty, digits.count <= 18, digits.allSatisfy({ (0x30...0x39).contains($0) }),
          let value = Int(String(decoding: digits, as: UTF8.self)), length == nil || length == value
        else { throw Malformed("Content-Length") }
        length = value
      }
    }
    return length
  }

  // MARK: Passing on

  /// How the body of the response is delimited for the client.
  enum Delimiting: Equatable {
    /// Without a body, or by the Content-Length the upstream gave.
    case asIs
    case chunked
    /// By the end of the connection: HTTP/1.0.
    case close
  }

  /// The end-to-end fields, Content-Length and Via aside.
  var lines: [FieldSection.Line] { section.endToEnd(except: []) }

  var hasDate: Bool { section.lines.contains { section.isNamed($0, "date") } }

  /// The head an HTTP/1 client gets.
  ///
  /// - Parameter further: fields of our own, each with its CRLF.
  func head(_ delimiting: Delimiting, isPersistent: Bool, date: some Collection<UInt8>, further: ByteBuffer?)
    -> ByteBuffer
  {
    var head = ByteBuffer()
    head.reserveCapacity(section.bytes.count + 128)
    head.writeString("HTTP/1.1 \(status) ")
    head.writeBytes(section.bytes[reason])
    head.writeStaticString("\r\n")
    for line in lines { head.writeField(section.bytes[line.name], section.value(line)) }
    // RFC 9110 section 6.6.1.
    if !hasDate { head.writeField("Date".utf8, date) }
    head.writeStaticString("Via: 1.1 apus\r\n")
    if let further { head.writeImmutableBuffer(further) }
    if status == 101 {
      head.writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
      return head
    }
    if delimiting == .chunked {
      head.writeStaticString("Transfer-Encoding: chunked\r\n")
    } else if let contentLength, status != 204 {
      head.writeString("Content-Length: \(contentLength)\r\n")
    }
    head.writeString(isPersistent ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n")
    return head
  }

  /// Whether a 101 changes to what was asked for.
  var changesToWebSocket: Bool {
    status == 101 && section.hasMember("upgrade", "websocket")
  }
}
