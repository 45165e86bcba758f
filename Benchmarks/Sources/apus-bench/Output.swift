import Foundation
import Measuring
import TestSupport

/// Writes what was measured: `results.json`, `Benchmarks.md`, charts, and the generated parts of documents.
struct Output {
  var directory: String
  var report: Report

  func write() throws {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(report.results).write(to: url("results.json"))
    if !report.micro.isEmpty { try encoder.encode(report.micro).write(to: url("micro.json")) }
    let charts = try draw()
    try report.markdown(charts: charts).write(to: url("Benchmarks.md"), atomically: true, encoding: .utf8)
    try fillDocuments()
  }

  private func url(_ name: String) -> URL { URL(fileURLWithPath: directory).appendingPathComponent(name) }

  /// - Returns: the charts that are there now.
  func draw() throws -> [Chart] {
    let charts = report.charts
    guard !charts.isEmpty else { return [] }
    guard Installation.plotting.isMet else {
      FileHandle.standardError.write(
        Data("apus-bench: no charts: gnuplot is not installed (apt-get install gnuplot-nox, or --install)\n".utf8))
      return []
    }
    for chart in charts {
      let script = try ScratchDirectory("chart")
      try script.write(chart.script(output: url(chart.fileName).path).utf8, to: "chart.gp")
      try CommandResult.run(["gnuplot", script.path(of: "chart.gp")]).orThrow()
    }
    return charts
  }

  /// Documents of the directory, and the README above it, have parts that are generated.
  private func fillDocuments() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".md") }
    let above = url("../README.md").standardizedFileURL
    let documents = names.map(url) + (FileManager.default.fileExists(atPath: above.path) ? [above] : [])
    for document in documents {
      let text = try String(contentsOf: document, encoding: .utf8)
      let filled = Placeholders.fill(text, report.blocks)
      if filled != text { try filled.write(to: document, atomically: true, encoding: .utf8) }
    }
  }
}
