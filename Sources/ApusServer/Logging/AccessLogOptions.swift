/// How the lines of the access log look.
public enum AccessLogFormat: String, Sendable, CaseIterable {
  /// The Combined Log Format of the NCSA and Apache: one line for each answer.
  case combined
  /// A JSON object on a line, for each answer and each hand-over.
  case json
}

/// Where the access log goes, and how it looks.
public struct AccessLogOptions: Sendable, Equatable {
  /// A path, opened for appending; `-` is standard output.
  public var path: String
  public var format: AccessLogFormat

  public init(path: String, format: AccessLogFormat = .combined) {
    self.path = path
    self.format = format
  }

  var isStandardOutput: Bool { path == "-" }
}
