import Contract

/// The last field line of a head whose Age the kernel part fills in: `Age: ` and the slot of `AgeSlot`, which is zero
/// bytes while the head is stored, so that they add nothing to its checksum.
enum AgeField {
  private static let name = Array("Age: ".utf8)

  static let line = name + [UInt8](repeating: 0, count: AgeSlot.length) + [13, 10]

  /// Whether the head ends with the line.
  static func ends(_ head: [UInt8]) -> Bool {
    head.count > line.count + 2 && head.dropLast(2).suffix(line.count) == line[...]
  }

  /// The head without the line, if it ends with it.
  static func removed(from head: [UInt8]) -> [UInt8] { ends(head) ? head.dropLast(line.count + 2) + [13, 10] : head }
}
