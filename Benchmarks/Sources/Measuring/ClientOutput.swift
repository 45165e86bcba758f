/// Reads what load generators print.
public enum ClientOutput {
  /// wrk 4 with `--latency`.
  public static func wrk(_ output: String) throws -> ClientFigures {
    var figures = ClientFigures(requests: 0, duration_s: 0, errors: 0)
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      // "77162 requests in 1.00s, 20.00MB read"
      if words.count > 3, words[1] == "requests", words[2] == "in" {
        figures.requests = Int(words[0]) ?? 0
        figures.duration_s = microseconds(words[3].dropLast()).map { $0 / 1e6 } ?? 0
      }
      if words.first == "50%", words.count == 2 { figures.p50_us = microseconds(words[1]) }
      if words.first == "99%", words.count == 2 { figures.p99_us = microseconds(words[1]) }
      if line.hasPrefix("  Non-2xx") { figures.errors += Int(words.last!) ?? 1 }
      // "Socket errors: connect 0, read 0, write 0, timeout 0"
      if words.starts(with: ["Socket", "errors:"]) {
        figures.errors += words.compactMap { Int($0.filter { $0 != "," }) }.reduce(0, +)
      }
    }
    guard figures.duration_s > 0 else { throw UnreadableOutput("wrk", misses: "duration", output) }
    return figures
  }

  /// ab 2.4.
  ///
  /// - Parameter percentiles: what `-e` wrote: a line `percent,milliseconds` of each percent.
  public static func ab(_ output: String, percentiles: String = "") throws -> ClientFigures {
    var figures = ClientFigures(requests: 0, duration_s: 0, errors: 0)
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      if line.hasPrefix("Complete requests:") { figures.requests = Int(words[2]) ?? 0 }
      if line.hasPrefix("Time taken for tests:") { figures.duration_s = Double(words[4]) ?? 0 }
      if line.hasPrefix("Failed requests:") || line.hasPrefix("Non-2xx responses:") {
        figures.errors += Int(words[2]) ?? 1
      }
    }
    for line in percentiles.split(separator: "\n") {
      let fields = line.split(separator: ",")
      guard fields.count == 2, let value_ms = Double(fields[1]) else { continue }
      if fields[0] == "50" { figures.p50_us = value_ms * 1000 }
      if fields[0] == "99" { figures.p99_us = value_ms * 1000 }
    }
    guard figures.duration_s > 0 else { throw UnreadableOutput("ab", misses: "duration", output) }
    return figures
  }

  /// h2load 1.5x.
  ///
  /// - Parameter duration_s: of the measured part; h2load prints the whole time.
  public static func h2load(_ output: String, duration_s: Double) throws -> ClientFigures {
    for line in output.split(separator: "\n") where line.hasPrefix("requests: ") {
      // "requests: 10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout"
      let numbers = line.split(separator: " ").compactMap { Int($0) }
      guard numbers.count == 7 else { break }
      return ClientFigures(requests: numbers[3], duration_s: duration_s, errors: numbers[4] + numbers[6])
    }
    throw UnreadableOutput("h2load", misses: "requests", output)
  }

  /// httperf 0.9, a call on each connection. Its median of times is of steps of half a millisecond: no figure.
  public static func httperf(_ output: String) throws -> ClientFigures {
    var figures = ClientFigures(requests: 0, duration_s: 0, errors: 0)
    for line in output.split(separator: "\n") {
      let words = line.split(separator: " ")
      // "Total: connections 1000 requests 1000 replies 1000 test-duration 0.527 s"
      if line.hasPrefix("Total: "), words.count >= 9 {
        figures.requests = Int(words[6]) ?? 0
        figures.duration_s = Double(words[8]) ?? 0
      }
      // "Reply status: 1xx=0 2xx=1000 3xx=0 4xx=0 5xx=0"
      if line.hasPrefix("Reply status:") {
        for word in words where word.contains("xx=") && !word.hasPrefix("2xx") {
          figures.errors += Int(word.split(separator: "=").last!) ?? 1
        }
      }
      if line.hasPrefix("Errors: total") { figures.errors += Int(words[2]) ?? 1 }
    }
    guard figures.duration_s > 0 else { throw UnreadableOutput("httperf", misses: "duration", output) }
    return figures
  }

  /// siege 4 with `--json-output`. Each redirection it follows is a transaction, too.
  ///
  /// - Parameter transactionsPerRequest: 1, and one more for each redirection.
  public static func siege(_ output: String, transactionsPerRequest: Int) throws -> ClientFigures {
    // `"transactions":	 23760,`
    func number(_ name: String) throws -> Double {
      let line = output.split(separator: "\n").first { $0.contains("\"\(name)\":") }
      let text = line?.split(separator: ":").last?.filter { $0.isNumber || $0 == "." }
      guard let value = text.flatMap({ Double($0) }) else { throw UnreadableOutput("siege", misses: name, output) }
      return value
    }
    return ClientFigures(
      requests: Int(try number("transactions")) / transactionsPerRequest, duration_s: try number("elapsed_time"),
      errors: Int(try number("failed_transactions")))
  }

  /// "319.00us", "1.20ms", "1.01s" or "1.50m", as wrk writes times.
  static func microseconds(_ text: some StringProtocol) -> Double? {
    let units: [(suffix: String, factor: Double)] = [("us", 1), ("ms", 1e3), ("s", 1e6), ("m", 6e7)]
    for unit in units where text.hasSuffix(unit.suffix) {
      return Double(text.dropLast(unit.suffix.count)).map { $0 * unit.factor }
    }
    return nil
  }
}
