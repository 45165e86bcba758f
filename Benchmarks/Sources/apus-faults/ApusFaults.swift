import ArgumentParser
import Foundation
import TestSupport

@main
struct ApusFaults: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-faults",
    abstract: "Puts Apus under loss, disorder, floods and faults, and prints a Markdown table with a verdict each.",
    discussion: """
      Works in network namespaces of its own. Needs root, nginx, nft, ethtool, ab, wrk, h2load and openssl. Documentation/Faults.md says \
      what each scenario does. Exit code 1: a promise was broken.
      """)

  @Argument(help: "What to run; by default everything.")
  var scenarios: [Scenario] = Scenario.allCases

  @Flag(help: "A short sample of each scenario.")
  var sample = false

  @Option(help: ArgumentHelp("Only the parts of a scenario whose title has this in it.", valueName: "text"))
  var only: String?

  @Option(help: ArgumentHelp("The apus to run; by default that of `swift build -c release`.", valueName: "path"))
  var apus = ApusFaults.defaultBinary

  /// .build/release/apus of the package this one lies in.
  private static var defaultBinary: String {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    return package.standardizedFileURL.path + "/.build/release/apus"
  }

  func run() throws {
    guard geteuid() == 0 else { throw SupportError("apus-faults makes network namespaces: run it as root") }
    guard access(apus, X_OK) == 0 else {
      throw SupportError("\(apus) does not exist; `swift build -c release --product apus` makes it")
    }
    let report = FaultReport()
    for scenario in scenarios {
      let context = FaultContext(scenario: scenario, apus: apus, isSample: sample, only: only, report: report)
      context.attempt("the scenario itself", isPart: false) { try scenario.run(context) }
    }
    print(try report.conditions(isSample: sample))
    print(report.markdown(), terminator: "")
    if report.isBroken { throw ExitCode(1) }
  }
}

enum Scenario: String, CaseIterable, ExpressibleByArgument {
  case freshness, loss, segments, faults, disorder, flood, table, idle, soak

  func run(_ context: FaultContext) throws {
    switch self {
    case .freshness: try Freshness(context).run()
    case .loss: try Loss(context).run()
    case .segments: try Segments(context).run()
    case .faults: DaemonFaults(context).run()
    case .disorder: try Disorder(context).run()
    case .flood: try Flood(context).run()
    case .table: try ConnectionTable(context).run()
    case .idle: try IdleConnections(context).run()
    case .soak: try Soak(context).run()
    }
  }
}

/// What a scenario is run with, and where its results go.
struct FaultContext {
  let scenario: Scenario
  let apus: String
  let isSample: Bool
  /// Which parts to run, by what is in their titles; `nil`: all.
  let only: String?
  let report: FaultReport

  /// A count, or a smaller one for the sample.
  func count(_ full: Int, sample: Int) -> Int { isSample ? sample : full }

  /// - Parameter kept: whether the promise was kept; nil where nothing is promised.
  func add(_ title: String, promise: String, measured: String, kept: Bool?) {
    report.add(FaultReport.Row(scenario: scenario, title: title, promise: promise, measured: measured, kept: kept))
  }

  /// Runs a part; what it throws becomes a broken promise, so that the other parts still run.
  func attempt(_ title: String, isPart: Bool = true, _ body: () throws -> Void) {
    if isPart, let only, !title.contains(only) { return }
    do {
      try body()
    } catch {
      let text = "\(error)".split(separator: "\n").prefix(6).joined(separator: " / ")
      add(title, promise: "runs to its end", measured: String(text.prefix(400)), kept: false)
    }
  }

  /// Starts `apus serve` in kernel mode.
  func serve(
    _ network: TestNetwork, root: String, port: UInt16 = 80, backendPort: UInt16? = nil, arguments: [String] = [],
    commandPrefix: [String] = []
  ) throws -> ApusProcess {
    try ApusProcess(
      in: network, root: root, port: port, backendPort: backendPort, arguments: arguments,
      commandPrefix: commandPrefix, binary: apus)
  }

  /// Asks for targets until each is answered by the kernel part, on a connection of its own each time: one that was
  /// handed over is the server's behind for good.
  func warm(
    _ server: ApusProcess, _ targets: [String], over network: TestNetwork, port: UInt16 = 80, timeout_s: Double = 120
  ) throws {
    var missing = targets
    let done = try eventually(timeout_s: timeout_s, every: 0.1) {
      missing = try missing.filter { target in
        let before = try server.status().hits
        // Under heavy loss some attempts fail; then it is tried again.
        _ = try? RawClient(network, port: port).get(target, fields: "Connection: close\r\n")
        return try server.status().hits == before
      }
      return missing.isEmpty
    }
    guard done else {
      throw SupportError(
        "\(missing) not answered by the kernel part: \(try server.control("status").output)\n\(server.process.transcript)"
      )
    }
  }
}
