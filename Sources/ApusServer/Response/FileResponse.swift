import Contract

/// What the answer to a request for a file is: the one place that decides it, for the kernel half and the user half.
struct FileResponse: Sendable {
  let metadata: FileMetadata
  /// The value of Content-Type.
  let mediaType: String
  let tag: EntityTag
  /// Whether the bytes are known to belong to `metadata`. Where a file changes faster than it can be read the answer
  /// carries no validators, so that nobody revalidates what was never a version of the file.
  let hasValidators: Bool
  /// Bytes of the body.
  let contentLength: Int
  /// The content coding of the bytes.
  let coding: ContentCoding
  /// Whether other requests for the same path may get another representation.
  let isNegotiated: Bool
  /// Field lines of the site's rules, each with its line end (`HeaderRules`).
  let lines: [UInt8]

  /// - Parameters:
  ///   - name: the file's name, or a path that ends with it.
  ///   - contentLength: the bytes there are, where that is not what `metadata` says.
  ///   - coding: that of the bytes; `metadata` is then that of the side-car they come from.
  ///   - mediaType: where that is not what the name says.
  init(
    name: [UInt8], metadata: FileMetadata, hasValidators: Bool = true, contentLength: Int? = nil,
    coding: ContentCoding = .identity, mediaType: String? = nil, lines: [UInt8] = []
  ) {
    self.metadata = metadata
    self.mediaType = mediaType ?? MediaType.of(name: name)
    self.lines = lines
    self.tag = EntityTag(metadata)
    self.hasValidators = hasValidators
    self.contentLength = contentLength ?? metadata.size
    self.coding = coding
    self.isNegotiated = MediaType.isNegotiated(name: name)
  }

  /// The head of the answer with the whole file.
  func head(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.ok)
    head.add("Content-Type", mediaType)
    head.add("Content-Length", String(contentLength))
    if let name = coding.name { head.add("Content-Encoding", name) }
    addMetadata(to: &head)
    head.add("Accept-Ranges", "bytes")
    return head.finished(persistent: persistent)
  }

  /// The head of a 304: what a cache needs to bring its copy up to date, and no more (RFC 9110 section 15.4.5).
  func notModifiedHead(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.notModified)
    addMetadata(to: &head)
    return head.finished(persistent: persistent)
  }

  /// What every answer with the file, or parts of it, or without it as it has not changed, says of it.
  func addMetadata(to head: inout ResponseHead) {
    if isNegotiated { head.addVary() }
    if hasValidators {
      head.add("Last-Modified", HTTPDate.bytes(metadata.lastModified_s))
      head.add("ETag", tag.bytes)
    }
    head.add(lines: lines)
  }

  /// What the kernel half answers with these bytes.
  func representation(_ body: [UInt8]) -> ComposedObject.Representation {
    precondition(hasValidators && body.count == contentLength, "only a whole version of a file is stored")
    return ComposedObject.Representation(
      heads: ComposedObject.Head.byVariant(head), body: body,
      conditions: .evaluated(
        ComposedObject.Validators(tag: tag.bytes, lastModified: HTTPDate.bytes(metadata.lastModified_s)),
        heads: ComposedObject.Head.byVariant(notModifiedHead)),
      answersHead: true)
  }
}

extension StatusResponse {
  /// What the kernel half answers: the same to every request for the path, whatever its preconditions.
  func representation() -> ComposedObject.Representation {
    ComposedObject.Representation(
      heads: ComposedObject.Head.byVariant(head), body: body, conditions: .ignored, answersHead: true)
  }
}

extension ComposedObject.Head {
  /// By `VariantIndex`: Apus's heads are the same in answers to HTTP/1.0 and 1.1.
  static func byVariant(_ head: (_ persistent: Bool) -> ComposedObject.Head) -> [ComposedObject.Head?] {
    let persistent = head(true)
    let closing = head(false)
    var heads = [ComposedObject.Head?](repeating: nil, count: VariantIndex.count)
    heads[VariantIndex.persistent11] = persistent
    heads[VariantIndex.persistent10] = persistent
    heads[VariantIndex.closing11] = closing
    heads[VariantIndex.closing10] = closing
    return heads
  }
}
