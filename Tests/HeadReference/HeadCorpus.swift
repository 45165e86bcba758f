import Foundation

/// Heads a fuzzer has found: the fewest that reach all it has reached in the parser and in the reference
/// (`Scripts/fuzz SECONDS --keep`), and every one that was ever understood wrongly.
///
/// They stand in Corpus.txt, one in a line, as a Swift string literal would have them: `\r`, `\n`, `\t`, `\\`, and
/// `\xHH` for what is not printable.
public enum HeadCorpus {
  public static func heads() throws -> [[UInt8]] {
    guard let file = Bundle.module.url(forResource: "Corpus", withExtension: "txt") else {
      throw CorpusError(description: "Corpus.txt is not where the package has it")
    }
    return try Data(contentsOf: file).split(separator: 0x0a).enumerated().map { number, line in
      guard let head = head(fromLine: String(decoding: line, as: UTF8.self)) else {
        throw CorpusError(description: "Corpus.txt:\(number + 1): not a head as it must be written")
      }
      return head
    }
  }

  /// A head as a line of the corpus, without the line's end.
  public static func line(_ head: [UInt8]) -> String {
    var line = ""
    for (index, byte) in head.enumerated() {
      switch byte {
      case 0x0d: line += #"\r"#
      case 0x0a: line += #"\n"#
      case 0x09: line += #"\t"#
      case 0x5c: line += #"\\"#
      // Editors take spaces at the end of a line away.
      case 0x20 where index != head.count - 1: line += " "
      case 0x21...0x7e: line += String(UnicodeScalar(byte))
      default: line += #"\x"# + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return line
  }

  /// The head a line stands for; `nil`: it is not written as `line(_:)` writes it.
  public static func head(fromLine line: String) -> [UInt8]? {
    var head: [UInt8] = []
    var rest = line.utf8[...]
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "\\") {
        guard (0x20...0x7e).contains(byte) else { return nil }
        head.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "r"): head.append(0x0d)
      case UInt8(ascii: "n"): head.append(0x0a)
      case UInt8(ascii: "t"): head.append(0x09)
      case UInt8(ascii: "\\"): head.append(0x5c)
      case UInt8(ascii: "x"):
        guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else { return nil }
        head.append(high << 4 | low)
      default: return nil
      }
    }
    return head
  }

  private static func digit(_ byte: UInt8) -> UInt8? { Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) } }
}

struct CorpusError: Error, CustomStringConvertible {
  let description: String
}
