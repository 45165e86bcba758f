import HeadReference
import KernelTestSupport
import Testing

/// How the corpus is written down.
@Suite struct CorpusFormatTests {
  @Test("any bytes are one printable line, and are read back from it")
  func roundTrip() {
    var random = SplitMix64(seed: 5)
    let all = (0...255).map { UInt8($0) }
    for head in [all, Array(all.reversed()), [0x20], [0x5c, 0x72]] + (0..<200).map({ random.bytes($0) }) {
      let line = HeadCorpus.line(head)
      #expect(line.utf8.allSatisfy { (0x20...0x7e).contains($0) } && line.last != " ")
      #expect(HeadCorpus.head(fromLine: line) == head)
    }
  }

  @Test(
    "what is not written so is refused",
    arguments: [#"\"#, #"\q"#, #"\x"#, #"\x4"#, #"\x+4"#, #"\xg0"#, "ä", "\t"])
  func refused(line: String) { #expect(HeadCorpus.head(fromLine: line) == nil) }

  @Test("the corpus has each head once, the shortest first")
  func order() throws {
    let lines = try HeadCorpus.heads().map { HeadCorpus.line($0) }
    #expect(lines == Set(lines).sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) })
    #expect(lines.count >= 400)
  }
}
