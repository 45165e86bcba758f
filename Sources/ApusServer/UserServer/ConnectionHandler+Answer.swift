import Contract
import Glibc
import NIOCore

/// Which answer a request gets, and its bytes.
extension ConnectionHandler {
  /// Answers a request.
  ///
  /// - Parameters:
  ///   - bytes: what the ranges of `head` are about.
  ///   - length: how many of them are the request.
  func answer(
    _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, length: Int, _ context: ChannelHandlerContext
  ) {
    worker.counters.requests.wrappingAdd(1, ordering: .relaxed)
    var isPersistent = head.isPersistent && !head.leavesBody && !worker.isDraining
    let wait_s = retryAfter_s(context)
    if wait_s == nil {
      if proxy(head, bytes, length: length, isPersistent: isPersistent) { return }
    } else if worker.upstream != nil, head.hasBody {
      // The body is not read with the head where it may be the upstream's.
      isPersistent = false
    }
    if !isPersistent {
      state = .closing
      // A client that asked for the end sends nothing more; any other may.
      lingers = head.isPersistent || head.leavesBody
    }
    let request = Request(head: head, bytes: bytes, isPersistent: isPersistent)
    if let wait_s { return write(.tooManyRequests(retryAfter_s: wait_s), to: request) }
    switch head.method {
    case .get, .head:
      if head.bodyIsTooLarge {
        write(StatusResponse(.contentTooLarge), to: request)
      } else {
        answerFile(request, context)
      }
    case .options: write(StatusResponse(.noContent), to: request)
    case .notAllowed: write(StatusResponse(.methodNotAllowed), to: request)
    case .unknown: write(StatusResponse(.notImplemented), to: request)
    }
  }

  /// Answers what is no request, and ends the connection: where the next one would begin is not known.
  func refuse(_ error: RequestError) {
    state = .closing
    lingers = true
    write(StatusResponse(error.status), isPersistent: false, withBody: !error.isHead)
  }

  /// A request while it is answered.
  private struct Request {
    let head: RequestHead
    let bytes: UnsafeRawBufferPointer
    let isPersistent: Bool

    /// Whether the answer has its body.
    var takesBody: Bool { head.method != .head }

    subscript(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }

    /// A target in absolute form may lack its path (RFC 9110 section 4.2.3).
    var path: UnsafeRawBufferPointer {
      guard head.path.isEmpty else { return self[head.path] }
      return UnsafeRawBufferPointer(UnsafeBufferPointer("/" as StaticString))
    }
  }

  // MARK: Files

  private func answerFile(_ request: Request, _ context: ChannelHandlerContext) {
    let site = worker.files.sites.index(host: request[request.head.host])
    let order = request.head.acceptEncoding.map { CodingOrder(acceptEncoding: request[$0]) }
    let answer = worker.files.answer(
      site: site, path: request.path, query: request[request.head.query], order: order ?? .identityOnly,
      now_ns: worker.now_ns)
    switch answer {
    case .file(let file):
      if request.head.conditions != nil, answerConditions(request, file, context) { return }
      write(request.isPersistent ? file.persistentHead : file.closingHead, dateOffset: file.dateOffset)
      guard request.takesBody else { return }
      switch file.content {
      case .memory(let body): write(body: body, context)
      case .open(let open):
        send(open, [.file(0..<file.response.contentLength)], isLast: !request.isPersistent, context)
      }
    case .directory(let root, let path): answerListing(request, root, path, context)
    case .redirection(let response), .status(let response): write(response, to: request)
    }
  }

  /// Whether the request's conditions, or its ranges, make the answer another than the whole file; if so, it has been
  /// written.
  private func answerConditions(_ request: Request, _ file: CachedFile, _ context: ChannelHandlerContext) -> Bool {
    let response = file.response
    guard let fields = request.head.conditions, response.hasValidators else { return false }
    let conditions = ConditionalRequest(
      ifMatch: fields.ifMatch.map { Array(request[$0]) }, ifNoneMatch: fields.ifNoneMatch.map { Array(request[$0]) },
      ifModifiedSince: fields.ifModifiedSince.map { Array(request[$0]) },
      ifUnmodifiedSince: fields.ifUnmodifiedSince.map { Array(request[$0]) })
    switch conditions.evaluate(response.metadata, response.tag, now: worker.date.second) {
    case .perform:
      return answerRange(request, fields, file, context)
    case .notModified:
      write(response.notModifiedHead(persistent: request.isPersistent))
    case .failed:
      write(StatusResponse(.preconditionFailed), to: request)
    }
    return true
  }

  /// Only GET has ranges (RFC 9110 section 14.2).
  private func answerRange(
    _ request: Request, _ fields: Conditions, _ file: CachedFile, _ context: ChannelHandlerContext
  ) -> Bool {
    guard request.head.method == .get, let range = fields.range else { return false }
    let response = file.response
    if let ifRange = fields.ifRange {
      let field = Array(request[ifRange])
      guard IfRange.matches(field, response.metadata, response.tag, now: worker.date.second) else { return false }
    }
    switch ByteRanges(request[range], length: response.contentLength) {
    case .whole:
      return false
    case .unsatisfiable:
      write(.rangeNotSatisfiable(length: response.contentLength), to: request)
    case .ranges(let ranges):
      let partial = PartialResponse(response, ranges)
      write(partial.head(persistent: request.isPersistent))
      send(partial.pieces, of: file.content, isLast: !request.isPersistent, context)
    }
    return true
  }

  private func send(
    _ pieces: [PartialResponse.Piece], of content: CachedFile.Content, isLast: Bool, _ context: ChannelHandlerContext
  ) {
    switch content {
    case .open(let open): send(open, pieces, isLast: isLast, context)
    case .memory(let body):
      for piece in pieces {
        switch piece {
        case .bytes(let bytes):
          worker.output.writeBytes(bytes)
          logged?.bodyBytes += bytes.count
        case .file(let range):
          let start = body.readerIndex + range.lowerBound
          if let part = body.getSlice(at: start, length: range.count) { write(body: part, context) }
        }
      }
    }
  }

  private func answerListing(
    _ request: Request, _ root: DocumentRoot, _ path: DocumentRootPath, _ context: ChannelHandlerContext
  ) {
    guard let listing = try? root.list(path) else { return write(StatusResponse(.notFound), to: request) }
    let format = DirectoryListing.Format(accept: request[request.head.accept])
    let body = format == .json ? listing.json : listing.html
    write(
      listing.head(
        format, contentLength: body.count, lines: root.rules.headers.lines(for: path.decoded),
        persistent: request.isPersistent))
    if request.takesBody { write(body: ByteBuffer(bytes: body), context) }
  }

  // MARK: Statuses

  /// Answers with a status, as the site wants it.
  private func write(_ response: StatusResponse, to request: Request) {
    var response = response
    let site = worker.files.sites.index(host: request[request.head.host])
    let rules = worker.files.sites.roots[site].rules
    if !rules.headers.isEmpty {
      let path = try? DocumentRootPath(request.path)
      response.lines += rules.headers.lines(for: path?.decoded ?? Array(request.path), isError: true)
    }
    if let path = rules.errorPages[response.status] {
      response.page = errorPage(path, site: site)
    }
    write(response, isPersistent: request.isPersistent, withBody: request.takesBody)
  }

  /// The site's page, if it is there and of a size to be in memory.
  private func errorPage(_ path: [UInt8], site: Int) -> StatusResponse.Page? {
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    let answer = path.withUnsafeBytes {
      worker.files.answer(site: site, path: $0, query: empty, now_ns: worker.now_ns)
    }
    guard case .file(let file) = answer, case .memory(let body) = file.content else { return nil }
    return StatusResponse.Page(mediaType: file.response.mediaType, body: Array(body.readableBytesView))
  }

  func write(_ response: StatusResponse, isPersistent: Bool, withBody: Bool) {
    write(response.head(persistent: isPersistent))
    guard withBody else { return }
    worker.output.writeBytes(response.body)
    logged?.bodyBytes += response.body.count
  }

  // MARK: Bytes

  private func write(_ head: ComposedObject.Head) {
    write(ByteBuffer(bytes: head.bytes), dateOffset: head.dateOffset ?? 0)
  }

  /// Writes a head and the current Date over its own.
  private func write(_ head: ByteBuffer, dateOffset: Int) {
    let start = worker.output.writerIndex
    noteAnswer(head)
    worker.output.writeImmutableBuffer(head)
    worker.output.setBytes(worker.date.text, at: start + dateOffset)
    if let fields = transport.furtherFields {
      // Before the empty line.
      worker.output.moveWriterIndex(to: worker.output.writerIndex - 2)
      worker.output.writeImmutableBuffer(fields)
      worker.output.writeStaticString("\r\n")
    }
  }

  /// Small bodies are copied behind their head, so that many answers are one write.
  private func write(body: ByteBuffer, _ context: ChannelHandlerContext) {
    logged?.bodyBytes += body.readableBytes
    guard body.readableBytes > ServerLimits.copiedBodyBytesMax else {
      worker.output.writeImmutableBuffer(body)
      return
    }
    writeOutput(context, more: true)
    write(body, more: false, context)
  }
}
