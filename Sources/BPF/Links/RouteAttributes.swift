/// The attributes of an rtnetlink message (struct rtattr), by type.
struct RouteAttributes {
  private var values: [UInt16: [UInt8]] = [:]

  /// Parses as much of `bytes` as is whole.
  init(_ bytes: [UInt8]) {
    var position = 0
    while bytes.count - position >= 4 {
      let length = Int(bytes.number(UInt16.self, at: position))
      guard length >= 4, length <= bytes.count - position else { return }
      // The two upper bits of a type are flags.
      let type = bytes.number(UInt16.self, at: position + 2) & 0x3fff
      values[type] = Array(bytes[position + 4..<position + length])
      position += (length + 3) & ~3
    }
  }

  func string(_ type: UInt16) -> String? {
    values[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  func nested(_ type: UInt16) -> RouteAttributes? {
    values[type].map { RouteAttributes($0) }
  }
}
