import Contract
import KernelTestSupport

/// An object of the store and its record, written as `Contract/Object.swift` lays it down.
struct StoredObject {
  var site: UInt16 = 0
  var path: [UInt8]
  /// By `VariantIndex`; none: such a request is handed over.
  var heads: [[UInt8]?]
  var body: [UInt8]
  var generation: UInt32 = 2
  /// Bits of `RecordFlag`.
  var flags: UInt16 = 0
  var ageBase_s: UInt32 = 0
  /// By `VariantIndex`: heads of 304.
  var notModifiedHeads: [[UInt8]?] = []
  var tag = Array("\"1\"".utf8)
  var lastModified = Array("Sun, 06 Nov 1994 08:49:37 GMT".utf8)
  var rules = RepresentationRule.answersHead | RepresentationRule.evaluatesConditions
  /// Its other representations, of which only heads, body, tag and rules count.
  var sideCars: [ContentCoding: StoredObject] = [:]
  /// Not empty: chosen by these values of Accept-Encoding; `nil`: the field is absent.
  var encodings: [(value: String?, coding: ContentCoding)] = []
  /// Codings that exist and are not stored.
  var elsewhere: Set<ContentCoding> = []

  /// Stands where the Date value will.
  static let datePlace = [UInt8](repeating: 0x23, count: DateEntry.textLength)

  /// A page with the heads a file's answer has.
  static func page(_ path: String, body: [UInt8], site: UInt16 = 0, hasDate: Bool = true) -> StoredObject {
    func heads(_ status: String, _ length: String) -> [[UInt8]?] {
      let date = hasDate ? Array("Date: ".utf8) + datePlace + [0x0d, 0x0a] : []
      let closing = "Connection: close\r\n"
      return ["", closing, "Connection: keep-alive\r\n", closing].map {
        Array("HTTP/1.1 \(status)\r\n".utf8) + date + Array("\(length)ETag: \"1\"\r\n\($0)\r\n".utf8)
      }
    }
    return StoredObject(
      site: site, path: Array(path.utf8), heads: heads("200 OK", "Content-Length: \(body.count)\r\n"), body: body,
      notModifiedHeads: heads("304 Not Modified", ""))
  }

  static func page(_ path: String, _ body: String) -> StoredObject { page(path, body: Array(body.utf8)) }

  /// What a client shall get.
  func response(_ variant: Int, date: [UInt8] = Bench.date) -> [UInt8] {
    heads[variant] == nil ? [] : headResponse(variant, date: date) + body
  }
  /// The answer to HEAD.
  func headResponse(_ variant: Int, date: [UInt8] = Bench.date) -> [UInt8] { Self.with(date, heads[variant] ?? []) }
  func notModified(_ variant: Int, date: [UInt8] = Bench.date) -> [UInt8] {
    Self.with(date, notModifiedHeads[variant] ?? [])
  }

  private static func with(_ date: [UInt8], _ head: [UInt8]) -> [UInt8] {
    var head = head
    if let offset = dateOffset(head) { head.replaceSubrange(offset..<offset + 29, with: date) }
    return head
  }

  private static func without(date head: [UInt8]) -> [UInt8] {
    var head = head
    if let offset = dateOffset(head) {
      head.replaceSubrange(offset..<offset + 29, with: [UInt8](repeating: 0, count: DateEntry.textLength))
    }
    return head
  }

  private static func dateOffset(_ head: [UInt8]) -> Int? {
    head.indices.first { head[$0...].starts(with: datePlace) }
  }

  // MARK: The record

  /// The record's bytes, with its generation in the first four.
  func record(hash: UInt64) -> [UInt8] {
    var content = path
    while content.count % 8 != 0 { content.append(0) }
    var header = ObjectRecord()
    header.generation = generation
    header.hash = hash
    header.site = site
    header.pathLength = UInt16(path.count)
    func place(_ coding: ContentCoding) -> UInt16 {
      if elsewhere.contains(coding) { return ObjectRecord.elsewhere }
      return sideCars[coding].map { $0.place(in: &content) } ?? ObjectRecord.none
    }
    let identity = elsewhere.contains(.identity) ? ObjectRecord.elsewhere : self.place(in: &content)
    header.flags = flags
    header.ageBase_s = ageBase_s
    header.representations = (identity, place(.brotli), place(.zstandard), place(.gzip))
    if !encodings.isEmpty {
      let places = [identity, header.representations.1, header.representations.2, header.representations.3]
      header.flags |= RecordFlag.byAcceptEncoding
      header.entryCount = UInt16(encodings.count)
      let entries = encodings.map { value, coding in
        var entry = AcceptEncodingEntry()
        entry.valueOffset = UInt16(ObjectRecord.byteCount + content.count)
        entry.valueLength = UInt16(value?.utf8.count ?? 0)
        entry.place = places[Int(coding.rawValue)]
        content += Array((value ?? "").utf8)
        return entry
      }
      header.entriesOffset = UInt16(ObjectRecord.byteCount + content.count)
      for entry in entries { content += withUnsafeBytes(of: entry) { Array($0) } }
    }
    return withUnsafeBytes(of: header) { Array($0) } + content
  }

  /// What a connection remembers of an answer with the body, in no content coding.
  func form(_ variant: Int) -> UInt16 {
    let place = record(hash: 0).withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 20, as: UInt16.self) }
    return (place / 8) << 4 | UInt16(variant)
  }

  /// Appends the representation. Returns where it is in the record.
  private func place(in content: inout [UInt8]) -> UInt16 {
    var stored = StoredRepresentation()
    func append(_ bytes: [UInt8]) -> UInt16 {
      defer { content += bytes }
      return UInt16(ObjectRecord.byteCount + content.count)
    }
    func variant(_ head: [UInt8]?) -> ResponseVariant {
      var variant = ResponseVariant()
      guard let head else { return variant }
      variant.headOffset = append(head)
      variant.headLength = UInt16(head.count)
      variant.dateOffset = UInt16(Self.dateOffset(head) ?? 0)
      variant.checksum = InternetChecksum.sum(Self.without(date: head)).bigEndian
      return variant
    }
    func variants(_ heads: [[UInt8]?]) -> StoredRepresentation.Variants {
      heads.isEmpty
        ? StoredRepresentation.noVariants : (variant(heads[0]), variant(heads[1]), variant(heads[2]), variant(heads[3]))
    }
    stored.variants = variants(heads)
    stored.notModified = variants(notModifiedHeads)
    stored.bodyOffset = append(body)
    stored.bodyLength = UInt16(body.count)
    stored.bodyChecksum = InternetChecksum.sum(body).bigEndian
    stored.tagOffset = append(tag)
    stored.tagLength = UInt16(tag.count)
    if !lastModified.isEmpty { stored.lastModifiedOffset = append(lastModified) }
    stored.rules = rules
    while content.count % 8 != 0 { content.append(0) }
    return append(withUnsafeBytes(of: stored) { Array($0) })
  }

  func hash(seed: UInt64) -> UInt64 {
    var hash = PathHash(seed: seed, site: site)
    for start in stride(from: 0, to: path.count, by: 8) {
      let bytes = path[start..<min(start + 8, path.count)]
      hash.add(bytes.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) })
    }
    return hash.finish(length: path.count)
  }
}
