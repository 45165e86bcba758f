import Foundation

/// What a run of wrk or ab came to.
public struct LoadResult: Sendable {
  /// Requests answered.
  public var requests = 0
  public var requestsPerSecond = 0.0
  /// Answers that were missing, not 2xx, or of another length than the first.
  public var failures = 0
  public var output = ""
}

extension NetworkNamespace {
  /// Runs wrk: keep-alive connections, one thread.
  ///
  /// - Parameter commandPrefix: put before the command, such as `["taskset", "-c", "0"]`.
  public func wrk(
    _ url: String, connections: Int, duration_s: Int, fields: [String] = [], commandPrefix: [String] = []
  ) throws -> LoadResult {
    let command = ["wrk", "-t1", "-c\(connections)", "-d\(duration_s)s"] + fields.flatMap { ["-H", $0] } + [url]
    let output = try run(commandPrefix + command, timeout_s: Double(duration_s) + 20).orThrow().output
    var result = LoadResult(output: output)
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count > 2, words[1] == "requests", words[2] == "in" { result.requests = Int(words[0]) ?? 0 }
      if words.first == "Requests/sec:" { result.requestsPerSecond = Double(words[1]) ?? 0 }
      if words.first == "Non-2xx" { result.failures += Int(words.last!) ?? 1 }
      // "Socket errors: connect 0, read 0, write 0, timeout 0"
      if words.starts(with: ["Socket", "errors:"]) {
        result.failures += words.compactMap { Int($0.filter { $0 != "," }) }.reduce(0, +)
      }
    }
    return result
  }

  /// Runs ab, which speaks HTTP/1.0: a connection per request, or the same connections with `keepAlive`.
  ///
  /// - Parameters:
  ///   - requests: how many to send at most.
  ///   - duration_s: after how many seconds to stop anyway.
  ///   - commandPrefix: put before the command.
  public func ab(
    _ url: String, requests: Int, concurrency: Int, keepAlive: Bool = false, duration_s: Int = 60,
    commandPrefix: [String] = []
  ) throws -> LoadResult {
    // -t sets -n, so -n comes after it.
    var command = ["ab", "-q", "-t", "\(duration_s)", "-n", "\(requests)", "-c", "\(concurrency)"]
    command += (keepAlive ? ["-k"] : []) + [url]
    let output = try run(commandPrefix + command, timeout_s: Double(duration_s) + 30).orThrow().output
    var result = LoadResult(output: output)
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      if line.hasPrefix("Complete requests:") { result.requests = Int(words[2]) ?? 0 }
      if line.hasPrefix("Requests per second:") { result.requestsPerSecond = Double(words[3]) ?? 0 }
      if line.hasPrefix("Failed requests:") || line.hasPrefix("Non-2xx responses:") {
        result.failures += Int(words[2]) ?? 1
      }
    }
    return result
  }

  /// Fetches files with one curl process, which keeps its connection, and writes them to a directory under the names
  /// they have on the server.
  ///
  /// - Returns: how often curl connected.
  @discardableResult
  public func curl(
    _ paths: [String], from origin: String, fields: [String] = [], into directory: ScratchDirectory
  ) throws -> Int {
    var configuration = "silent\nshow-error\nfail\ncreate-dirs\nmax-time = 30\nwrite-out = \"%{num_connects}\\n\"\n"
    for field in fields { configuration += "header = \"\(field)\"\n" }
    for path in paths {
      configuration += "url = \"\(origin)/\(path)\"\noutput = \"\(directory.path(of: "files/" + path))\"\n"
    }
    try directory.write(configuration.utf8, to: "curl.config")
    let output = try run(["curl", "--config", directory.path(of: "curl.config")], timeout_s: 120).orThrow().output
    return output.split(separator: "\n").compactMap { Int($0) }.reduce(0, +)
  }
}
