import ApusServer
import ArgumentParser

/// `--access-log` and how it looks.
struct AccessLogOptionGroup: ParsableArguments {
  @Option(
    name: .customLong("access-log"),
    help: ArgumentHelp(
      "Log requests to this file; '-' is standard output.",
      discussion: "It is appended to, and opened anew on SIGUSR1 or SIGHUP.", valueName: "path"), completion: .file())
  var path: String?

  @Option(
    name: .customLong("access-log-format"),
    help: ArgumentHelp(
      "How the access log looks: combined or json.",
      discussion: "json has a line for each hand-over as well. (default: combined)", valueName: "format"),
    transform: Self.parse)
  var format: AccessLogFormat?

  var options: AccessLogOptions? { path.map { AccessLogOptions(path: $0, format: format ?? .combined) } }

  static func parse(_ text: String) throws -> AccessLogFormat {
    guard let format = AccessLogFormat(rawValue: text) else {
      let all = AccessLogFormat.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("'\(text)' is no format of access logs; there are \(all)")
    }
    return format
  }

  /// Wherever they were set.
  static func validate(path: String?, format: AccessLogFormat?) throws {
    if path?.isEmpty == true { throw ValidationError("--access-log needs a path") }
    if format != nil, path == nil {
      throw ValidationError("--access-log-format is for an access log; say where it goes with --access-log")
    }
  }
}
