/// Why the kernel did not take a program.
public struct VerifierRefusal: Error, Sendable, Equatable, CustomStringConvertible {
  public let program: String
  /// The verifier's last complaint, one line.
  public let reason: String
  /// The source lines the verifier went through last, the one it was at at the end; the others show how it got there,
  /// for instance into a function that was inlined. Empty if the object has no line information.
  public let trail: [SourceLine]
  /// All the verifier said.
  public let log: String

  /// The source line the verifier was at.
  public var file: String? { trail.last?.file }
  public var line: Int? { trail.last?.line }

  public var description: String {
    let place = if let file, let line { " (at \(file):\(line))" } else { "" }
    return "verifier refused \(program): \(reason)\(place)"
  }

  /// What the complaint means for a program written in Swift, where that is not plain.
  public var hint: String? {
    if reason.contains(LinkedProgram.trap) || reason.contains("invalid func") {
      return "a Swift trap can be reached: an overflow, an index out of range or the unwrapping of nil"
    }
    if reason.contains("too large. Processed") || reason.contains("too complex") {
      return "the verifier follows every path, and together they are too long: fewer branches, or bpf_loop"
    }
    return nil
  }

  private static let maxTrail = 8

  /// - Parameters:
  ///   - summary: the log without the way there: whole, however long that is.
  ///   - log: the log with it.
  init(program: LinkedProgram, summary: VerifierLog, log: VerifierLog) {
    self.program = program.name
    self.log = log.text
    reason = summary.complaint ?? log.complaint ?? "no reason given"
    var trail = log.remarks(Self.maxTrail).compactMap { program.source(of: $0) }
    if trail.isEmpty, let place = log.lastInstruction.flatMap({ program.source(of: $0) }) { trail = [place] }
    self.trail = trail
  }
}

extension LinkedProgram {
  /// The source line of a remark, which has no folder and, on older kernels, only the text.
  fileprivate func source(of remark: VerifierLog.Remark) -> SourceLine? {
    guard let place = remark.place else { return sources.first { $0.text == remark.text } }
    let known = sources.first { source in
      source.line == place.line && source.text == remark.text
        && (source.file == place.file || source.file.hasSuffix("/" + place.file))
    }
    return known ?? SourceLine(file: place.file, line: place.line, text: remark.text)
  }
}

/// A line of a program's source.
public struct SourceLine: Sendable, Equatable {
  public let file: String
  public let line: Int
  public let text: String
}
