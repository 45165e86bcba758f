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

  /// Stands where the Date value will.
  static let datePlace = [UInt8](repeating: 0x23, count: DateEntry.textLength)

  /// A page with the four heads a file's answer has.
  static func page(_ path: String, body: [UInt8], site: UInt16 = 0, hasDate: Bool = true) -> StoredObject {
    func head(_ connection: String) -> [UInt8] {
      let date = hasDate ? Array("Date: ".utf8) + datePlace + [0x0d, 0x0a] : []
      return Array("HTTP/1.1 200 OK\r\n".utf8) + date
        + Array("Content-Length: \(body.count)\r\nETag: \"1\"\r\n\(connection)\r\n".utf8)
    }
    return StoredObject(
      site: site, path: Array(path.utf8),
      heads: [
        head(""), head("Connection: close\r\n"), head("Connection: keep-alive\r\n"), head("Connection: close\r\n"),
      ],
      body: body)
  }

  static func page(_ path: String, _ body: String) -> StoredObject { page(path, body: Array(body.utf8)) }

  /// What a client shall get.
  func response(_ variant: Int, date: [UInt8] = Bench.date) -> [UInt8] {
    guard var head = heads[variant] else { return [] }
    if let offset = Self.dateOffset(head) { head.replaceSubrange(offset..<offset + 29, with: date) }
    return head + body
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
    func variant(_ index: Int) -> ResponseVariant {
      var variant = ResponseVariant()
      guard let head = heads[index] else { return variant }
      variant.headOffset = UInt16(ObjectRecord.byteCount + content.count)
      variant.headLength = UInt16(head.count)
      variant.dateOffset = UInt16(Self.dateOffset(head) ?? 0)
      variant.checksum = InternetChecksum.sum(Self.without(date: head)).bigEndian
      content += head
      return variant
    }
    header.variants = (variant(0), variant(1), variant(2), variant(3))
    header.bodyOffset = UInt16(ObjectRecord.byteCount + content.count)
    header.bodyLength = UInt16(body.count)
    header.bodyChecksum = InternetChecksum.sum(body).bigEndian
    header.flags = flags
    header.ageBase_s = ageBase_s
    return withUnsafeBytes(of: header) { Array($0) } + content + body
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
