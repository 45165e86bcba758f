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
    let isPersistent = head.isPersistent && !head.leavesBody && !worker.isDraining
    if proxy(head, bytes, length: length, isPersistent: isPersistent) { return }
    if !isPersistent {
      state = .closing
      // A client that asked for the end sends nothing more; any other may.
      lingers = head.isPersistent || head.leavesBody
    }
    switch head.method {
    case .get, .head:
      if head.bodyIsTooLarge {
        write(StatusResponse(.contentTooLarge), isPersistent: isPersistent, withBody: head.method == .get)
      } else {
        answerFile(head, bytes, isPersistent: isPersistent, context)
      }
    case .options: write(StatusResponse(.noContent), isPersistent: isPersistent, withBody: true)
    case .notAllowed: write(StatusResponse(.methodNotAllowed), isPersistent: isPersistent, withBody: true)
    case .unknown: write(StatusResponse(.notImplemented), isPersistent: isPersistent, withBody: true)
    }
  }

  /// Answers what is no request, and ends the connection: where the next one would begin is not known.
  func refuse(_ error: RequestError) {
    state = .closing
    lingers = true
    write(StatusResponse(error.status), isPersistent: false, withBody: !error.isHead)
  }

  private func answerFile(
    _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, isPersistent: Bool, _ context: ChannelHandlerContext
  ) {
    // A target in absolute form may lack its path (RFC 9110 section 4.2.3).
    let slash = StaticString("/")
    let path =
      head.path.isEmpty
      ? UnsafeRawBufferPointer(UnsafeBufferPointer(slash)) : UnsafeRawBufferPointer(rebasing: bytes[head.path])
    let query = UnsafeRawBufferPointer(rebasing: bytes[head.query])
    let order = head.acceptEncoding.map {
      CodingOrder(acceptEncoding: UnsafeRawBufferPointer(rebasing: bytes[$0]))
    }
    switch worker.files.answer(path: path, query: query, order: order ?? .identityOnly, now_ns: worker.now_ns) {
    case .small(let file):
      guard meetsConditions(file.response, head, bytes, isPersistent: isPersistent) else { return }
      write(isPersistent ? file.persistentHead : file.closingHead, dateOffset: file.dateOffset)
      if head.method == .get { write(body: file.body, context) }
    case .large(let file, let response):
      guard meetsConditions(response, head, bytes, isPersistent: isPersistent) else { return }
      write(response.head(persistent: isPersistent))
      if head.method == .get { send(file, isLast: !isPersistent, context) }
    case .status(let response):
      write(response, isPersistent: isPersistent, withBody: head.method == .get)
    }
  }

  /// Whether the file is to be sent; where not, the answer that says so has been written.
  private func meetsConditions(
    _ file: FileResponse, _ head: RequestHead, _ bytes: UnsafeRawBufferPointer, isPersistent: Bool
  ) -> Bool {
    guard let fields = head.conditions, file.hasValidators else { return true }
    let request = ConditionalRequest(
      ifMatch: fields.ifMatch.map { Array(bytes[$0]) }, ifNoneMatch: fields.ifNoneMatch.map { Array(bytes[$0]) },
      ifModifiedSince: fields.ifModifiedSince.map { Array(bytes[$0]) },
      ifUnmodifiedSince: fields.ifUnmodifiedSince.map { Array(bytes[$0]) })
    switch request.evaluate(file.metadata, file.tag, now: worker.date.second) {
    case .perform:
      return true
    case .notModified:
      write(file.notModifiedHead(persistent: isPersistent))
    case .failed:
      write(StatusResponse(.preconditionFailed), isPersistent: isPersistent, withBody: head.method == .get)
    }
    return false
  }

  // MARK: Bytes

  func write(_ response: StatusResponse, isPersistent: Bool, withBody: Bool) {
    write(response.head(persistent: isPersistent))
    if withBody { worker.output.writeBytes(response.body) }
  }

  private func write(_ head: ComposedObject.Head) {
    write(ByteBuffer(bytes: head.bytes), dateOffset: head.dateOffset ?? 0)
  }

  /// Writes a head and the current Date over its own.
  private func write(_ head: ByteBuffer, dateOffset: Int) {
    let start = worker.output.writerIndex
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
    guard body.readableBytes > ServerLimits.copiedBodyBytesMax else {
      worker.output.writeImmutableBuffer(body)
      return
    }
    writeOutput(context)
    context.write(wrapOutboundOut(.byteBuffer(body)), promise: nil)
    needsFlush = true
  }
}
