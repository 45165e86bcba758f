import Foundation
import Measuring
import TestSupport

/// Holds the program's figures against `budgets.json`.
struct BudgetWorkload: Workload {
  let id = "budget"
  let title = "The program against its budgets"
  let needs: [Need] = []

  /// The least of so many load times counts: other work makes them longer, nothing makes them shorter.
  private static let loads = 5

  func count(_ settings: Bench.Settings) -> Int { 1 }

  func run(_ bench: Bench) throws {
    var values: [String: [Double]] = [:]
    for _ in 0..<Self.loads {
      let text = try CommandResult.run([bench.settings.apus, "doctor", "--program"]).orThrow().output
      for (name, value) in ProgramFigures.parse(text) { values[name, default: []].append(value) }
    }
    let figures = values.compactMapValues { $0.min() }
    for (name, unit) in [("verified instructions", ""), ("stack", "bytes"), ("load time", "ms")] {
      if let measured = values[name] { bench.add(MicroFigure("program: \(name)", unit: unit, measured)) }
    }
    for failure in try Self.budgets().failures(figures) { bench.refuse("\(id): \(failure)") }
    bench.progress.advance(id)
  }

  private static func budgets() throws -> Budgets {
    guard let file = Bundle.module.url(forResource: "Configuration/budgets", withExtension: "json") else {
      throw SupportError("budgets.json is not beside the program: build it with SwiftPM")
    }
    return try JSONDecoder().decode(Budgets.self, from: Data(contentsOf: file))
  }
}
