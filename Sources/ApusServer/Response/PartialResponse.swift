import Contract
/// The answer with parts of a file (RFC 9110 section 15.3.7).
struct PartialResponse {
  /// What the body is put together from.
  enum Piece: Equatable {
    case bytes([UInt8])
    /// These bytes of the file.
    case file(Range<Int>)

    var count: Int {
      switch self {
      case .bytes(let bytes): bytes.count
      case .file(let range): range.count
      }
    }
  }

  let pieces: [Piece]
  private let file: FileResponse
  private let mediaType: String
  private let contentRange: String?

  /// - Parameters:
  ///   - ranges: of `ByteRanges`.
  ///   - boundary: between the parts; one that is not in the file.
  init(_ file: FileResponse, _ ranges: [Range<Int>], boundary: @autoclosure () -> String = Self.randomBoundary()) {
    self.file = file
    guard ranges.count > 1 else {
      // One part is no list of parts, even where several were asked for.
      mediaType = file.mediaType
      contentRange = Self.contentRange(ranges[0], of: file.contentLength)
      pieces = [.file(ranges[0])]
      return
    }
    let boundary = boundary()
    mediaType = "multipart/byteranges; boundary=\(boundary)"
    contentRange = nil
    var pieces: [Piece] = []
    for (index, range) in ranges.enumerated() {
      let head = """
        \(index == 0 ? "" : "\r\n")--\(boundary)\r
        Content-Type: \(file.mediaType)\r
        Content-Range: \(Self.contentRange(range, of: file.contentLength))\r
        \r

        """
      pieces += [.bytes(Array(head.utf8)), .file(range)]
    }
    self.pieces = pieces + [.bytes(Array("\r\n--\(boundary)--\r\n".utf8))]
  }

  var contentLength: Int { pieces.reduce(0) { $0 + $1.count } }

  func head(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.partialContent)
    head.add("Content-Type", mediaType)
    head.add("Content-Length", String(contentLength))
    if let contentRange { head.add("Content-Range", contentRange) }
    // The parts are of the coded bytes (RFC 9110 section 14.2).
    if let name = file.coding.name { head.add("Content-Encoding", name) }
    file.addMetadata(to: &head)
    return head.finished(persistent: persistent)
  }

  private static func contentRange(_ range: Range<Int>, of length: Int) -> String {
    "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
  }

  /// 128 bits that nobody can have foreseen and put into the file.
  private static func randomBoundary() -> String {
    (0..<2).map { _ in String(UInt64.random(in: .min ... .max) | 1 << 63, radix: 16) }.joined()
  }
}

extension StatusResponse {
  /// 416: what is there instead (RFC 9110 section 15.5.17).
  static func rangeNotSatisfiable(length: Int) -> StatusResponse {
    var response = StatusResponse(.rangeNotSatisfiable)
    response.lines = Array("Content-Range: bytes */\(length)\r\n".utf8)
    return response
  }

  /// 429 (RFC 6585 section 4).
  static func tooManyRequests(retryAfter_s: Int) -> StatusResponse {
    var response = StatusResponse(.tooManyRequests)
    response.lines = Array("Retry-After: \(retryAfter_s)\r\n".utf8)
    return response
  }
}
