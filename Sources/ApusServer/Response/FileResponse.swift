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

  /// - Parameters:
  ///   - name: the file's name, or a path that ends with it.
  ///   - contentLength: the bytes there are, where that is not what `metadata` says.
  init(name: [UInt8], metadata: FileMetadata, hasValidators: Bool = true, contentLength: Int? = nil) {
    self.metadata = metadata
    self.mediaType = MediaType.of(name: name)
    self.tag = EntityTag(metadata)
    self.hasValidators = hasValidators
    self.contentLength = contentLength ?? metadata.size
  }

  /// The head of the answer with the whole file.
  func head(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.ok)
    head.add("Content-Type", mediaType)
    head.add("Content-Length", String(contentLength))
    addValidators(to: &head)
    return head.finished(persistent: persistent)
  }

  /// The head of a 304: what a cache needs to bring its copy up to date, and no more (RFC 9110 section 15.4.5).
  func notModifiedHead(persistent: Bool) -> ComposedObject.Head {
    var head = ResponseHead(.notModified)
    addValidators(to: &head)
    return head.finished(persistent: persistent)
  }

  private func addValidators(to head: inout ResponseHead) {
    guard hasValidators else { return }
    head.add("Last-Modified", HTTPDate.bytes(metadata.lastModified_s))
    head.add("ETag", tag.bytes)
  }

  /// The heads of an object of the kernel half, by `VariantIndex`.
  func kernelHeads() -> [ComposedObject.Head?] {
    let persistent = head(persistent: true)
    let closing = head(persistent: false)
    var heads = [ComposedObject.Head?](repeating: nil, count: VariantIndex.count)
    heads[VariantIndex.persistent11] = persistent
    heads[VariantIndex.persistent10] = persistent
    heads[VariantIndex.closing11] = closing
    heads[VariantIndex.closing10] = closing
    return heads
  }
}
