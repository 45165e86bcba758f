import Contract
import Testing

@testable import ApusServer

/// The table by Accept-Encoding, as it is in a record.
extension BackendEncodingsTests {
  @Test func `the record has the values and where each leads`() throws {
    let object = try compose(Self.compress)
    let record = try Record(object, for: Self.request.key, hash: 1)
    #expect(record.header.flags & RecordFlag.byAcceptEncoding != 0)
    #expect(Int(record.header.entryCount) == Self.all.count)
    let bytes = [UInt8](repeating: 0, count: ObjectRecord.byteCount) + record.content
    func word(_ offset: Int) -> Int { Int(bytes[offset]) | Int(bytes[offset + 1]) << 8 }
    let places = [record.header.representations.0, record.header.representations.1].map { Int($0) }
    for (index, value) in Self.all.enumerated() {
      let entry = Int(record.header.entriesOffset) + index * AcceptEncodingEntry.byteCount
      let text = String(decoding: bytes[word(entry)..<word(entry) + word(entry + 2)], as: UTF8.self)
      #expect(text == value ?? "")
      #expect(word(entry + 4) == places[value?.contains("gzip") == true ? 1 : 0])
      let stored = word(entry + 4)
      let body = String(decoding: bytes[word(stored + 64)..<word(stored + 64) + word(stored + 66)], as: UTF8.self)
      #expect(body == (value?.contains("gzip") == true ? "compressed" : "body"))
    }
  }

  @Test func `a table that breaks the contract is malformed`() throws {
    let object = try compose(Self.compress)
    let entry = { ComposedObject.EncodingEntry(value: $0, representation: $1) }
    let tables = [
      [entry([], 0)], [entry([UInt8](repeating: 0x78, count: 65), 0)], [entry(nil, 2)], [entry(nil, 4)],
      [entry(nil, 0), entry(nil, 1)], (0..<9).map { entry([UInt8($0) + 0x61], 0) },
    ]
    for (index, table) in tables.enumerated() {
      var broken = object
      broken.encodings = table
      #expect(throws: StoreRefusal.malformed, "\(index)") { try Record(broken, for: Self.request.key, hash: 1) }
    }
    var whole = object
    whole.encodings = [entry([UInt8](repeating: 0x78, count: 64), 0), entry(nil, 1)]
    _ = try Record(whole, for: Self.request.key, hash: 1)
  }
}
