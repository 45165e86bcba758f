import Contract

/// What If-None-Match, If-Modified-Since and Accept-Encoding say, as RFC 9110 has it, without regard to speed.
enum ReferenceMeaning {
  static func meaning(_ fields: [String: [String]]) -> FieldMeaning {
    var meaning = FieldMeaning(codings: codings(fields["accept-encoding"] ?? []))
    meaning.hasAcceptEncoding = fields["accept-encoding"] != nil
    meaning.hasIfNoneMatch = fields["if-none-match"] != nil
    meaning.hasIfModifiedSince = fields["if-modified-since"] != nil
    if let lists = fields["if-none-match"] {
      meaning.namesTag = FieldMeaning.tags.map { tag in lists.contains { names($0, tag) } }
    }
    if let dates = fields["if-modified-since"] { meaning.isUnmodified = dates == [FieldMeaning.date] }
    return meaning
  }

  // MARK: Section 13.1.2

  private static func names(_ list: String, _ tag: String) -> Bool {
    if list == "*" { return true }
    var rest = Substring(list)
    while true {
      rest = rest.drop { $0 == "," || $0 == " " || $0 == "\t" }
      if rest.hasPrefix("W/") { rest = rest.dropFirst(2) }
      guard rest.first == "\"", let end = rest.dropFirst().firstIndex(of: "\"") else { return false }
      if rest[...end] == tag { return true }
      rest = rest[rest.index(after: end)...]
      guard rest.first.map({ ", \t".contains($0) }) == true else { return false }
    }
  }

  // MARK: Section 12.5.3

  /// `nil`: a weight is none.
  private static func codings(_ values: [String]) -> CodingOrder? {
    guard values.count == 1 else { return .identityOnly }
    var weights: [String: Int] = [:]
    for member in values[0].split(separator: ",") {
      let parts = member.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
      guard let name = parts.first else { continue }
      var weight = 1000
      if let parameter = parts.dropFirst().first(where: { $0.hasPrefix("q=") }) {
        guard let value = thousandths(parameter.dropFirst(2)) else { return nil }
        weight = value
      }
      weights[name] = weight
    }
    if let old = weights["x-gzip"] { weights["gzip"] = old }
    let wanted = ["br", "zstd", "gzip"].enumerated().map {
      (number: $0.offset + 1, weight: weights[$0.element] ?? weights["*"] ?? 0)
    }
    .filter { $0.weight > 0 && $0.weight >= (weights["identity"] ?? 0) }
    .sorted { ($1.weight, $0.number) < ($0.weight, $1.number) }
    return CodingOrder(
      rawValue: wanted.enumerated().reduce(0) { $0 | UInt16($1.element.number) << UInt16(2 * $1.offset) })
  }

  /// A qvalue (section 12.4.2): 0 or 1, and perhaps a dot and up to three digits, zeros only after a 1.
  private static func thousandths(_ text: Substring) -> Int? {
    let digits = Array(text.utf8)
    guard let first = digits.first, first == 0x30 || first == 0x31, digits.count <= 5 else { return nil }
    guard digits.count == 1 || digits[1] == 0x2e else { return nil }
    var thousandths = first == 0x31 ? 1000 : 0
    for (digit, worth) in zip(digits.dropFirst(2), [100, 10, 1]) {
      guard (0x30...0x39).contains(digit) else { return nil }
      thousandths += Int(digit - 0x30) * worth
    }
    return thousandths <= 1000 ? thousandths : nil
  }
}
