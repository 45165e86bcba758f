import Testing

@testable import ApusServer

struct RangeCase: Sendable, CustomTestStringConvertible {
  let field: String
  let length: Int
  let expected: ByteRanges
  var testDescription: String { "\(field) of \(length)" }

  init(_ field: String, _ expected: ByteRanges, length: Int = 1000) {
    self.field = field
    self.length = length
    self.expected = expected
  }
}

let rangeCases = [
  RangeCase("bytes=0-0", .ranges([0..<1])), RangeCase("bytes=0-", .ranges([0..<1000])),
  RangeCase("bytes=999-", .ranges([999..<1000])), RangeCase("bytes=-1", .ranges([999..<1000])),
  RangeCase("bytes=-5000", .ranges([0..<1000])), RangeCase("bytes=500-5000", .ranges([500..<1000])),
  RangeCase("BYTES=1-2", .ranges([1..<3])), RangeCase("bytes= 1-2 ,\t,", .ranges([1..<3])),
  RangeCase("bytes=1000-", .unsatisfiable), RangeCase("bytes=-0", .unsatisfiable),
  RangeCase("bytes=1000-2000,5000-", .unsatisfiable), RangeCase("bytes=1000-,0-4", .ranges([0..<5])),
  RangeCase("bytes=99999999999999999999999-", .unsatisfiable),
  RangeCase("bytes=0-99999999999999999999999", .ranges([0..<1000])),
  RangeCase("bytes=0-9,500-509", .ranges([0..<10, 500..<510])),
  RangeCase("bytes=500-509,0-9", .ranges([500..<510, 0..<10])),
  // Near ones and overlapping ones become one.
  RangeCase("bytes=0-9,10-19", .ranges([0..<20])), RangeCase("bytes=0-9,50-59", .ranges([0..<60])),
  RangeCase("bytes=0-99,50-149", .ranges([0..<150])),
  RangeCase("bytes=0-9,200-209,90-120", .ranges([0..<210])),
  RangeCase("bytes=0-9,300-309,5-6", .ranges([0..<10, 300..<310])),
  // What is no range is ignored as a whole.
  RangeCase("bytes=", .whole), RangeCase("bytes=-", .whole), RangeCase("bytes=5-4", .whole),
  RangeCase("bytes=0-1,5-4", .whole), RangeCase("bytes=a-b", .whole), RangeCase("bytes=0-1;2-3", .whole),
  RangeCase("bytes=1", .whole), RangeCase("bytes = 0-1", .whole), RangeCase("lines=0-1", .whole), RangeCase("", .whole),
  RangeCase("bytes=+1-2", .whole), RangeCase("bytes=1 - 2", .whole), RangeCase("bytes=--1", .whole),
  // More work than the whole.
  RangeCase("bytes=" + String(repeating: "0-,", count: 3), .whole),
  RangeCase("bytes=" + (0...16).map { "\($0 * 10)-\($0 * 10)" }.joined(separator: ","), .whole, length: 100_000),
  RangeCase(
    "bytes=" + (0..<16).map { "\($0 * 1000)-\($0 * 1000)" }.joined(separator: ","),
    .ranges((0..<16).map { $0 * 1000..<$0 * 1000 + 1 }), length: 100_000),
  // An empty file.
  RangeCase("bytes=0-", .unsatisfiable, length: 0), RangeCase("bytes=-1", .whole, length: 0),
]

@Suite("Ranges")
struct ByteRangesTests {
  @Test("what a Range field asks for (RFC 9110 section 14)", arguments: rangeCases)
  func parse(_ test: RangeCase) {
    #expect(Array(test.field.utf8).withUnsafeBytes { ByteRanges($0, length: test.length) } == test.expected)
  }

  @Test("whatever is asked for, the ranges are within the file and apart from one another")
  func invariants() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let length = Int.random(in: 1...3000, using: &random)
      let field =
        "bytes="
        + (0..<Int.random(in: 1...16, using: &random)).map { _ in
          let first = Int.random(in: 0...3000, using: &random)
          switch Int.random(in: 0..<3, using: &random) {
          case 0: return "-\(first)"
          case 1: return "\(first)-"
          default: return "\(first)-\(first + Int.random(in: 0...500, using: &random))"
          }
        }.joined(separator: ",")
      guard case .ranges(let ranges) = Array(field.utf8).withUnsafeBytes({ ByteRanges($0, length: length) }) else {
        continue
      }
      let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
      #expect(!ranges.isEmpty && ranges.allSatisfy { !$0.isEmpty && 0 <= $0.lowerBound && $0.upperBound <= length })
      #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $0.upperBound + ByteRanges.gapMin < $1.lowerBound })
    }
  }

  @Test("If-Range: the strong tag, or the exact date once nothing can have changed within its second")
  func ifRange() {
    let file = someFile()
    let tag = EntityTag(file)
    let date = HTTPDate.bytes(file.lastModified_s)
    func matches(_ field: some Sequence<UInt8>, now: Int = 2_000_000_000) -> Bool {
      IfRange.matches(Array(field), file, tag, now: now)
    }
    #expect(matches(tag.bytes))
    #expect(!matches(Array("W/".utf8) + tag.bytes))
    #expect(!matches("\"x\"".utf8))
    #expect(!matches(tag.bytes + Array(", \"x\"".utf8)))
    #expect(matches(date))
    #expect(!matches(date, now: file.lastModified_s))
    #expect(!matches(HTTPDate.bytes(file.lastModified_s + 1)))
    #expect(!matches(HTTPDate.bytes(file.lastModified_s - 1)))
    #expect(!matches("".utf8))
  }

  @Test("206 with one part has it as its body, with several a list of them, of the length it says")
  func partial() {
    let file = FileResponse(
      name: Array("a.txt".utf8), metadata: someFile(size: 1000), lines: Array("Cache-Control: no-cache\r\n".utf8))
    let one = PartialResponse(file, [10..<20])
    #expect(one.pieces == [.file(10..<20)])
    let head = text(one.head(persistent: true).bytes)
    #expect(head.hasPrefix("HTTP/1.1 206 Partial Content\r\n"))
    #expect(head.contains("\r\nContent-Range: bytes 10-19/1000\r\n"))
    #expect(head.contains("\r\nContent-Length: 10\r\n") && head.contains("\r\nCache-Control: no-cache\r\n"))
    #expect(head.contains("\r\nETag: \(text(file.tag.bytes))\r\n"))

    let several = PartialResponse(file, [0..<2, 500..<503], boundary: "B")
    let body = several.pieces.map {
      switch $0 {
      case .bytes(let bytes): text(bytes)
      case .file(let range): String(repeating: "x", count: range.count)
      }
    }.joined()
    #expect(
      body == """
        --B\r
        Content-Type: text/plain; charset=utf-8\r
        Content-Range: bytes 0-1/1000\r
        \r
        xx\r
        --B\r
        Content-Type: text/plain; charset=utf-8\r
        Content-Range: bytes 500-502/1000\r
        \r
        xxx\r
        --B--\r

        """)
    #expect(several.contentLength == body.utf8.count)
    let list = text(several.head(persistent: false).bytes)
    #expect(list.contains("\r\nContent-Type: multipart/byteranges; boundary=B\r\n"))
    #expect(!list.contains("Content-Range"))
  }
}
