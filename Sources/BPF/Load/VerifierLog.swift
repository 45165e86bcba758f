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
    }.map { $0.trimmed }
  }

  /// A line of source the verifier came by.
  struct Remark: Equatable {
    var text: String
    /// Without folders. Kernels before 6.9 give only the text.
    var place: Place?

    struct Place: Equatable {
      var file: String
      var line: Int
    }
  }

  /// The last remarks, `; text @ file:line` or `; text`, the very last one at the end, without repetitions.
  func remarks(_ count: Int) -> [Remark] {
    var remarks: [Remark] = []
    for line in lines.reversed() where line.hasPrefix("; ") && remarks.count < count {
      let remark = remark(line.dropFirst(2))
      // Line 0 is code that stands nowhere.
      let isSomewhere = remark.place.map { $0.line != 0 } ?? !remark.text.isEmpty
      if isSomewhere, !remarks.contains(remark) { remarks.append(remark) }
    }
    return remarks.reversed()
  }

  private func remark(_ line: Substring) -> Remark {
    guard let at = line.lastIndex(of: "@"), let colon = line.lastIndex(of: ":"), at < colon,
      let number = Int(line[line.index(after: colon)...])
    else { return Remark(text: line.trimmed) }
    let file = line[line.index(after: at)..<colon].trimmed
    return Remark(text: line[..<at].trimmed, place: .init(file: file, line: number))
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
  var stackDepths_bytes: [Int]? {
    line(after: "stack depth ").map { text in
      text.split(separator: "+").map { Int($0.prefix { $0.isNumber }) ?? 0 }
    }
  }

  /// `verification time N usec`
  var verificationTime_us: Int? {
    line(after: "verification time ").flatMap { $0.split(separator: " ").first.flatMap { Int($0) } }
  }

  private func line(after prefix: String) -> Substring? {
    lines.last { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
  }
}

extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String {
    guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(self[first...last])
  }
}
