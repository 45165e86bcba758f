import ArgumentParser
import Foundation
import Measuring
import TestSupport

/// For when the drawing has changed and not the figures.
struct ChartsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "charts", abstract: "Draws the charts again from the results.json of a directory.")

  @Argument(help: "Where results.json is, and the charts are to be.")
  var directory: String

  func run() throws {
    guard Installation.plotting.isMet else { throw SupportError("gnuplot is not installed (gnuplot-nox)") }
    let file = URL(fileURLWithPath: directory).appendingPathComponent("results.json")
    let results = try JSONDecoder().decode([BenchResult].self, from: Data(contentsOf: file))
    let report = Report(
      results: results, micro: [], sections: [], conditions: [], remarks: [], refusals: [], caution: nil)
    for chart in try Output(directory: directory, report: report).draw() { print(chart.fileName) }
  }
}
