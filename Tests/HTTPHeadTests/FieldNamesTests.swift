import KernelTestSupport
import Testing

@testable import HTTPHead

@Suite struct FieldNamesTests {
  /// Every name with a meaning, and its kind. A name that is added here and not there is reported with a new table.
  static let names: [(name: String, kind: UInt8)] = [
    ("host", FieldKind.host), ("connection", FieldKind.connection),
    ("if-none-match", FieldKind.ifNoneMatch), ("if-modified-since", FieldKind.ifModifiedSince),
    ("accept-encoding", FieldKind.acceptEncoding),
    ("if-match", FieldKind.conditional), ("if-unmodified-since", FieldKind.conditional),
    ("if-range", FieldKind.refused), ("range", FieldKind.refused), ("expect", FieldKind.refused),
    ("upgrade", FieldKind.refused), ("authorization", FieldKind.refused), ("content-length", FieldKind.refused),
    ("transfer-encoding", FieldKind.refused), ("te", FieldKind.refused), ("trailer", FieldKind.refused),
    ("proxy-authorization", FieldKind.refused), ("proxy-connection", FieldKind.refused),
    ("http2-settings", FieldKind.refused),
  ]

  private static func key(_ name: String) -> UInt64 {
    name.utf8.prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
  }

  @Test("every known name is at its place in the table")
  func places() {
    let wrong = Self.names.filter { FieldNames.kind(of: Self.key($0.name)) != $0.kind }
    #expect(wrong.isEmpty, "not found: \(wrong.map(\.name)). \(Self.suggestion())")
  }

  @Test("the table holds nothing else")
  func nothingElse() {
    let keys = Set(Self.names.map { Self.key($0.name) })
    for index in 0..<32 {
      if fieldNameKeys[index] == 0 {
        #expect(fieldNameKinds[index] == FieldKind.other)
      } else {
        #expect(keys.contains(fieldNameKeys[index]), "entry \(index) is of no known name")
        #expect(fieldNameKinds[index] != FieldKind.other)
      }
    }
    #expect(FieldNames.kind(of: 0) == FieldKind.other)
  }

  @Test("names that share eight bytes with another one are only those a hand-over does no harm to")
  func sharedBeginnings() {
    for name in [
      "accept", "accept-language", "cookie", "user-agent", "referer", "cache-control",
      "pragma", "origin", "sec-fetch-mode", "upgrade-insecure-requests", "dnt", "priority", "forwarded",
      "x-forwarded-for", "via", "keep-alive", "save-data", "from", "date",
    ] {
      #expect(FieldNames.kind(of: Self.key(name)) == FieldKind.other, "\(name)")
    }
  }

  @Test("a new table can be found when a name is added")
  func search() {
    let keys = Self.names.map { Self.key($0.name) } + [Self.key("early-data")]
    let multiplier = Self.multiplier(for: keys)
    #expect(multiplier != nil)
    if let multiplier { #expect(Set(keys.map { ($0 &* multiplier) >> 59 }).count == keys.count) }
  }

  /// A multiplier under which no two keys have the same place of 32.
  static func multiplier(for keys: [UInt64]) -> UInt64? {
    var random = SplitMix64(seed: 5)
    for _ in 0..<5_000_000 {
      let candidate = random.next() | 1
      var taken: UInt32 = 0
      let isFree = keys.allSatisfy { key in
        let bit = UInt32(1) << UInt32((key &* candidate) >> 59)
        defer { taken |= bit }
        return taken & bit == 0
      }
      if isFree { return candidate }
    }
    return nil
  }

  private static func suggestion() -> String {
    guard let multiplier = multiplier(for: names.map { key($0.name) }) else { return "No multiplier was found." }
    let places = names.map {
      "\((key($0.name) &* multiplier) >> 59): 0x\(String(key($0.name), radix: 16)) // \($0.name)"
    }
    return "Take the multiplier 0x\(String(multiplier, radix: 16)) and these places: \(places.joined(separator: ", "))"
  }
}
