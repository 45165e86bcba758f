import Foundation

/// All that a reader is told.
public struct Report: Sendable {
  /// What is measured by `results`' workload ids, in the report's order.
  public struct Section: Sendable {
    public var id: String
    public var title: String

    public init(id: String, title: String) {
      self.id = id
      self.title = title
    }
  }

  public var results: [BenchResult]
  public var micro: [MicroFigure]
  public var sections: [Section]
  /// Sentences: machine, versions, numbers of runs.
  public var conditions: [String]
  public var remarks: [String]
  public var refusals: [String]
  /// Why the figures should not be trusted, if so.
  public var caution: String?

  public init(
    results: [BenchResult], micro: [MicroFigure], sections: [Section], conditions: [String], remarks: [String],
    refusals: [String], caution: String? = nil
  ) {
    self.results = results
    self.micro = micro
    self.sections = sections
    self.conditions = conditions
    self.remarks = remarks
    self.refusals = refusals
    self.caution = caution
  }

  /// The whole of it.
  public func markdown(charts: [Chart]) -> String {
    var text = """
      # Benchmarks

      Written by `apus-bench`; CONTRIBUTING.md says how to have it measured again. The figures are in `results.json`.

      \(list(conditions))

      """
    if let caution { text += "\n**\(caution)**\n" }
    if !targets.isEmpty { text += "\n## Targets\n\n\(targetTable)" }
    for section in sections {
      let of = results.filter { $0.workload == section.id }
      guard !of.isEmpty else { continue }
      text += "\n## \(section.title)\n\n"
      for chart in charts where chart.workload == section.id { text += "![\(chart.title)](\(chart.fileName))\n\n" }
      text += table(of)
    }
    if !micro.isEmpty { text += "\n## Single steps\n\n\(microTable)" }
    if !remarks.isEmpty { text += "\n## Remarks\n\n\(list(remarks))\n" }
    if !refusals.isEmpty { text += "\n## Not reported\n\n\(list(refusals))\n" }
    return text
  }

  /// Of each its first line: what follows in an error is what some program printed.
  private func list(_ sentences: [String]) -> String {
    sentences.map { "- " + ($0.split(separator: "\n").first ?? "") }.joined(separator: "\n")
  }

  /// - Parameter results: of one workload.
  public func table(_ results: [BenchResult]) -> String {
    let hasLatency = results.contains { $0.p50 != nil || $0.p99 != nil }
    let extras = Set(results.flatMap(\.extras.keys)).sorted()
    let hasErrors = results.contains { $0.errors > 0 }
    var columns = ["Case", "Server", "Requests/s: median (min - max)", "CPU per request, µs (min - max)"]
    columns += hasLatency ? ["p50 / p99, µs"] : []
    columns += extras + (hasErrors ? ["Errors"] : [])
    columns += [
      "Requests/s by \(baseline(of: results))'s", "\(baseline(of: results))'s CPU per request by its own",
    ]
    var text = row(columns) + row(columns.map { _ in "---" })
    for result in results {
      var cells = [title(of: result), result.server, range(result.spread.requestsPerSecond) + note(of: result)]
      cells.append(result.spread.cpuMicrosecondsPerRequest.map { range($0, decimals: 1) } ?? "")
      if hasLatency {
        cells.append("\(result.p50.map { plain($0) } ?? "?") / \(result.p99.map { plain($0) } ?? "?")")
      }
      cells += extras.map { name in result.extras[name].map { plain($0, decimals: $0 < 10 ? 2 : 0) } ?? "" }
      if hasErrors { cells.append("\(result.errors)") }
      cells.append(ratio(result.ratios?.requestsPerSecond))
      cells.append(ratio(result.ratios?.cpuPerRequest))
      text += row(cells)
    }
    if results.contains(where: { $0.limitedByClient > 0 }) {
      text += "\n\\* The client's CPU was the limit, not the server's: compare the CPU per request.\n"
    }
    return text
  }

  private func baseline(of results: [BenchResult]) -> String {
    results.compactMap(\.ratios?.baseline).first ?? "baseline"
  }

  private func title(of result: BenchResult) -> String {
    let parts = [result.size.map(byteCount) ?? "", result.variant].filter { !$0.isEmpty }
    return parts.isEmpty ? result.client : parts.joined(separator: ", ") + " (\(result.client))"
  }

  private func note(of result: BenchResult) -> String { result.limitedByClient > 0 ? " \\*" : "" }

  public var microTable: String {
    var text = row(["Step", "Median (min - max)", "Unit", "Samples"]) + row(["---", "---", "---", "---"])
    for figure in micro {
      text += row([
        figure.name, range(figure.spread, decimals: figure.spread.median < 100 ? 1 : 0), figure.unit,
        "\(figure.samples)",
      ])
    }
    return text
  }

  func range(_ spread: Spread, decimals: Int = 0) -> String {
    "\(plain(spread.median, decimals: decimals)) "
      + "(\(plain(spread.smallest, decimals: decimals)) - \(plain(spread.largest, decimals: decimals)))"
  }

  private func ratio(_ spread: Spread?) -> String { spread.map { range($0, decimals: 2) } ?? "" }

  private func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
}
