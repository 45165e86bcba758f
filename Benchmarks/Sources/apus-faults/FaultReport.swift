import Foundation
import TestSupport

/// What was promised, what was measured, and whether that was kept: one row each.
final class FaultReport {
  struct Row {
    var scenario: Scenario
    var title: String
    var promise: String
    var measured: String
    /// nil: nothing is promised, the figure is for information.
    var kept: Bool?

    var verdict: String { kept.map { $0 ? "kept" : "**broken**" } ?? "-" }
  }

  private var rows: [Row] = []
  private let start_s = monotonicSeconds()

  var isBroken: Bool { rows.contains { $0.kept == false } }

  func add(_ row: Row) {
    rows.append(row)
    let line = "\(row.scenario.rawValue): \(row.title): \(row.measured): \(row.verdict)\n"
    FileHandle.standardError.write(Data(line.utf8))
  }

  func markdown() -> String {
    var text = "| Scenario | Case | Promise | Measured | Verdict |\n|---|---|---|---|---|\n"
    for row in rows {
      let cells = [row.scenario.rawValue, row.title, row.promise, row.measured, row.verdict]
      text += "| " + cells.map { $0.replacingOccurrences(of: "|", with: "/") }.joined(separator: " | ") + " |\n"
    }
    return text
  }

  /// What it ran on, and how long.
  func conditions(isSample: Bool) throws -> String {
    let kernel = try CommandResult.run(["uname", "-r"]).orThrow().output.split(separator: "\n").first ?? "?"
    let day = Date().ISO8601Format(.iso8601.year().month().day())
    let duration = Int((monotonicSeconds() - start_s).rounded())
    return """
      \(day), Linux \(kernel), \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) CPUs; \(isSample ? "sample" : "full run"), \
      \(duration) s.

      """
  }
}

func format(_ value: Double, decimals: Int = 0) -> String { String(format: "%.\(decimals)f", value) }

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// "97.5 %"
func percentage(_ part: Int, of whole: Int) -> String {
  whole == 0 ? "-" : format(Double(part) * 100 / Double(whole), decimals: 1) + " %"
}

/// Latencies in seconds, as milliseconds: median, 99th percentile, largest.
struct Latencies: CustomStringConvertible {
  private let sorted_s: [Double]

  init(_ values_s: [Double]) { sorted_s = values_s.sorted() }

  func percentile_ms(_ percent: Int) -> Double {
    guard !sorted_s.isEmpty else { return .nan }
    // Nearest rank.
    return sorted_s[max(0, (sorted_s.count * percent + 99) / 100 - 1)] * 1000
  }

  /// Between which of the values the percentile of all the requests there could have been lies, with 95 % confidence:
  /// how many values lie above it is binomially distributed.
  func percentileBounds_ms(_ percent: Int) -> ClosedRange<Double> {
    guard !sorted_s.isEmpty else { return 0...0 }
    let (count, share) = (Double(sorted_s.count), Double(percent) / 100)
    let spread = 1.96 * (count * share * (1 - share)).squareRoot()
    func value_ms(_ rank: Double) -> Double { sorted_s[min(max(Int(rank), 1), sorted_s.count) - 1] * 1000 }
    return value_ms((count * share - spread).rounded(.down))...value_ms((count * share + spread).rounded(.up))
  }

  var longest_s: Double { sorted_s.last ?? 0 }

  var description: String {
    "p50 \(format(percentile_ms(50), decimals: 2)), p99 \(format(percentile_ms(99), decimals: 2)), "
      + "longest \(format(longest_s * 1000)) ms"
  }
}
