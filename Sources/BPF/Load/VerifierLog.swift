/// The text the verifier writes (kernel/bpf/verifier.c, print_verification_stats and verbose_linfo).
struct VerifierLog {
  let text: String
  private let lines: [Substring]

  init(_ bytes: [UInt8]) {
    text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    lines = text.split(separator: "\n", omittingEmptySubsequences: true)
  }

  /// The last line that is not part of the closing statistics.
  var complaint: String? {
    lines.last { line in
      !["processed ", "verification time ", "stack depth "].contains { line.hasPrefix($0) }
    }.map { trimmed($0) }
  }

  /// The last remarks `; text @ file:line` (kernels from 6.9) that have a line, the very last one at the end, without
  /// repetitions.
  func remarks(_ count: Int) -> [SourceLine] {
    var remarks: [SourceLine] = []
    for line in lines.reversed() where line.hasPrefix("; ") && remarks.count < count {
      guard let at = line.lastIndex(of: "@"), let colon = line.lastIndex(of: ":"), at < colon,
        let number = Int(line[line.index(after: colon)...]), number > 0
      else { continue }
      let remark = SourceLine(
        file: trimmed(line[line.index(after: at)..<colon]), line: number, text: trimmed(line[..<at].dropFirst(2)))
      if !remarks.contains(remark) { remarks.append(remark) }
    }
    return remarks.reversed()
  }

  /// The number of the last instruction shown: `14: (85) call …`.
  var lastInstruction: Int? {
    for line in lines.reversed() {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2, parts[1].hasPrefix(" ("), let number = Int(parts[0]) { return number }
    }
    return nil
  }

  /// `processed N insns …`
  var processedInstructions: Int? {
    line(after: "processed ").flatMap { $0.split(separator: " ").first.flatMap { Int($0) } }
  }

  /// `stack depth A+B+…`: bytes of the entry and of each function it calls.
  var stackDepth_bytes: Int? {
    line(after: "stack depth ").map { text in
      text.split(separator: "+").reduce(0) { $0 + (Int($1.prefix { $0.isNumber }) ?? 0) }
    }
  }

  /// `verification time N usec`
  var verificationTime_us: Int? {
    line(after: "verification time ").flatMap { $0.split(separator: " ").first.flatMap { Int($0) } }
  }

  private func line(after prefix: String) -> Substring? {
    lines.last { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
  }

  private func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
