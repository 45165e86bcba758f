/// Why the kernel did not take a program.
public struct VerifierRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  public let program: String
  /// The verifier's last complaint, one line.
  public let reason: String
  /// The source line the verifier was at, as far as the object has line information.
  public let file: String?
  public let line: Int?
  /// All the verifier said.
  public let log: String

  public var description: String {
    let place = if let file, let line { " (at \(file):\(line))" } else { "" }
    return "verifier refused \(program): \(reason)\(place)"
  }

  /// - Parameters:
  ///   - summary: the log without the way there: whole, however long that is.
  ///   - log: the log with it.
  init(program: LinkedProgram, summary: VerifierLog, log: VerifierLog) {
    self.program = program.name
    self.log = log.text
    reason = summary.complaint ?? log.complaint ?? "no reason given"
    let place = log.remark.map { ($0.file, $0.line) } ?? log.lastInstruction.flatMap { program.source(of: $0) }
    // The log names files without their folders.
    file = place.map { place in program.files.first { $0 == place.0 || $0.hasSuffix("/" + place.0) } ?? place.0 }
    line = place?.1
  }
}

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

  /// The last remark `; text @ file:line` (kernels from 6.9) that has a line.
  var remark: (file: String, line: Int)? {
    for line in lines.reversed() where line.hasPrefix("; ") {
      guard let at = line.lastIndex(of: "@"), let colon = line.lastIndex(of: ":"), at < colon,
        let number = Int(line[line.index(after: colon)...]), number > 0
      else { continue }
      return (trimmed(line[line.index(after: at)..<colon]), number)
    }
    return nil
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
