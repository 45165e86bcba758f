import Foundation
import TestSupport

/// The results as Markdown, to be pasted into a document.
struct Report {
  var rows: [(workload: Workload, results: [(contender: Contender, runs: [Measurement])])] = []

  func markdown() -> String {
    var text = """
      | Files and connections | Server | Requests/s: median (min - max) | Against nginx | CPU per request, µs |
      |---|---|---|---|---|

      """
    for (workload, results) in rows {
      let nginx = results.first { $0.contender == .nginx }.map { Spread($0.runs.map(\.requestsPerSecond)).median }
      for (contender, runs) in results {
        let rate = Spread(runs.map(\.requestsPerSecond))
        let cost = Spread(runs.map(\.cpuMicrosecondsPerRequest))
        let ratio = nginx.map { format(rate.median / $0, decimals: 2) + "x" } ?? ""
        text += "| \(workload.title) | \(contender.title) "
        text += "| \(format(rate.median)) (\(format(rate.smallest)) - \(format(rate.largest))) "
        text += "| \(ratio) | \(format(cost.median, decimals: 1)) |\n"
      }
    }
    return text
  }

  /// What was measured on, and how.
  ///
  /// - Parameter disturbed: runs that began while the CPU had other work.
  static func conditions(cpu: Int, repetitions: Int, duration_s: Int, disturbed: Int) throws -> String {
    let kernel = try CommandResult.run(["uname", "-r"]).output.split(separator: "\n").first ?? "?"
    let nginx = try CommandResult.run(["sh", "-c", "PATH=$PATH:/usr/sbin nginx -v 2>&1"]).output
    let information = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split(separator: "\n")
    let model = information.first { $0.hasPrefix("model name") }?.split(separator: ":").last ?? " unknown CPU"
    return """
      Linux \(kernel),\(model), \(nginx.split(separator: "/").last?.split(separator: "\n").first.map { "nginx \($0)" } ?? "nginx"). \
      Client and server in a network namespace each, joined by veth; both, and the kernel's work for them, on CPU \
      \(cpu). In turns, each server alone: \(repetitions) runs of \(duration_s) s. \(Workload.connections) connections \
      at a time. nginx: 1 worker, access log off, sendfile, tcp_nopush, tcp_nodelay, open_file_cache, keepalive_requests \
      unlimited. The CPU time is the client's as well.\
      \(disturbed == 0 ? "" : " \(disturbed) runs began while CPU \(cpu) had other work: do not trust the ratios.")

      """
  }
}

func format(_ value: Double, decimals: Int = 0) -> String { String(format: "%.\(decimals)f", value) }
