/// An answer that is not a file: an error, a redirection, the answer to OPTIONS.
struct StatusResponse: Sendable {
  let status: Status
  var location: [UInt8]?
  /// Whether a file of this name could be answered in several content codings.
  var isNegotiated = false
  /// Further field lines, each with its line end.
  var lines: [UInt8] = []
  /// A page of the site's own in place of Apus's.
  var page: Page?

  struct Page: Sendable {
    var mediaType: String
    var body: [UInt8]
  }

  /// The methods Apus answers (RFC 9110 section 10.2.1).
  static let allowedMethods = "GET, HEAD, OPTIONS"

  init(_ status: Status, location: [UInt8]? = nil) {
    self.status = status
    self.location = location
  }

  /// There is no file at a path, which is given as it was sent.
  static func notFound(path: some BidirectionalCollection<UInt8>) -> StatusResponse {
    var response = StatusResponse(.notFound)
    let name = (try? DocumentRootPath(path))?.fileNames.last ?? Array(path)
    response.isNegotiated = MediaType.isNegotiated(name: name)
    return response
  }

  /// A small page for people. Nothing of the request is repeated in it.
  var body: [UInt8] {
    guard status != .noContent else { return [] }
    if let page { return page.body }
    let title = "\(status.rawValue) \(status.reasonPhrase)"
    return Array(
      """
      <!DOCTYPE html>
      <html lang="en">
      <head><meta charset="utf-8"><title>\(title)</title></head>
      <body><h1>\(title)</h1></body>
      </html>

      """.utf8)
  }

  func head(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(status)
    if status != .noContent {
      head.add("Content-Type", page?.mediaType ?? "text/html; charset=utf-8")
      head.add("Content-Length", String(body.count))
    }
    if status == .methodNotAllowed || status == .noContent {
      head.add("Allow", StatusResponse.allowedMethods)
    }
    if isNegotiated { head.addVary() }
    if let location {
      head.add("Location", location)
    }
    head.add(lines: lines)
    return head.finished(persistent: persistent)
  }
}
