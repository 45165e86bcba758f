/// The attributes of a netlink message (struct nlattr), by type.
package struct RouteAttributes {
  private var values: [UInt16: [UInt8]] = [:]

  /// Parses as much of `bytes` as is whole.
  package init(_ bytes: [UInt8]) {
    for (type, value) in Self.list(bytes) { values[type] = value }
  }

  /// The attributes in their order, for lists in which all have one type.
  package static func list(_ bytes: [UInt8]) -> [(type: UInt16, value: [UInt8])] {
    var list: [(type: UInt16, value: [UInt8])] = []
    var position = 0
    while bytes.count - position >= 4 {
      let length = Int(bytes.number(UInt16.self, at: position))
      guard length >= 4, length <= bytes.count - position else { break }
      // The two upper bits of a type are flags.
      let type = bytes.number(UInt16.self, at: position + 2) & 0x3fff
      list.append((type, Array(bytes[position + 4..<position + length])))
      position += (length + 3) & ~3
    }
    return list
  }

  package func bytes(_ type: UInt16) -> [UInt8]? { values[type] }

  /// A number of the size the attribute must have, in host byte order.
  package func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: UInt16, as _: Number.Type) -> Number? {
    guard let bytes = values[type], bytes.count == MemoryLayout<Number>.size else { return nil }
    return bytes.number(Number.self, at: 0)
  }

  package func string(_ type: UInt16) -> String? {
    values[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  package func nested(_ type: UInt16) -> RouteAttributes? {
    values[type].map { RouteAttributes($0) }
  }
}
