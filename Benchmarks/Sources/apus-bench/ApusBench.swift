import ArgumentParser
import Foundation
import Measuring
import TestSupport

@main
struct ApusBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench",
    abstract: "Measures Apus beside other web servers, and itself.",
    discussion: """
      Needs root (network namespaces, kernel mode), two CPUs and a quiet machine. Servers and clients are Debian's; \
      --install installs those that are missing.

      Servers: \(Peers.all.map(\.id).joined(separator: ", ")).

      Workloads:
      \(Workloads.all.map { "  \($0.id): \($0.title)" }.joined(separator: "\n"))
      """,
    subcommands: [LoadCommand.self, ChartsCommand.self, StrangerCommand.self])

  @Flag(help: "Three servers, two workloads and single steps, in less than three minutes.")
  var quick = false

  @Option(help: ArgumentHelp("Write results.json, Benchmarks.md and charts there.", valueName: "directory"))
  var output: String?

  @Option(help: ArgumentHelp("Servers, separated by commas.", valueName: "list"))
  var peers: String?

  @Option(help: ArgumentHelp("Workloads, separated by commas.", valueName: "list"))
  var workloads: String?

  @Option(help: ArgumentHelp("Sizes of files in bytes, separated by commas.", valueName: "list"))
  var sizes: String?

  @Option(help: ArgumentHelp("Runs of each server in each case; 5, or 3 with --quick.", valueName: "count"))
  var repeats: Int?

  @Option(
    help: ArgumentHelp("Connections at a time, where the workload is not about their number.", valueName: "count"))
  var connections = 32

  @Option(help: ArgumentHelp("Whole seconds of each run; 3, or 1 with --quick.", valueName: "count"))
  var seconds: Int?

  @Flag(help: "Install servers, clients and gnuplot from Debian's packages where they are missing.")
  var install = false

  @Option(help: ArgumentHelp("The apus to measure; by default that of `swift build -c release`.", valueName: "path"))
  var apus = ApusBench.defaultBinary

  private static let sizes = [64, 256, 1024, 4096, 10_240, 14_000, 65_536, 262_144, 1_048_576]
  private static let quickSizes = [64, 1024, 10_240]

  /// .build/release/apus of the package this one lies in.
  private static var defaultBinary: String {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    return package.standardizedFileURL.path + "/.build/release/apus"
  }

  func validate() throws {
    _ = try selectedPeers
    _ = try selectedWorkloads
    _ = try selectedSizes
    guard (repeats ?? 1) > 0, (seconds ?? 1) > 0, connections > 0 else {
      throw ValidationError("Nothing would be measured.")
    }
  }

  func run() throws {
    let start_s = monotonicSeconds()
    guard geteuid() == 0 else { throw SupportError("apus-bench makes network namespaces: run it as root") }
    guard access(apus, X_OK) == 0 else {
      throw SupportError("\(apus) does not exist; `swift build -c release --product apus` makes it")
    }
    let workloads = try selectedWorkloads
    let settings = try availableSettings(workloads)
    let descriptors = BenchNetwork.raiseDescriptorLimit()
    let progress = Progress(total: workloads.map { $0.count(settings) }.reduce(0, +))
    let bench = try Bench(settings, progress: progress)
    var conditions = try Surroundings.describe(settings, cpus: bench.cpus, descriptors: descriptors)
    let drops = try BenchNetwork.backlogDrops()
    for workload in workloads {
      do {
        try workload.run(bench)
      } catch let error as SupportError {
        bench.refuse("\(workload.id): \(error)")
      }
    }
    progress.finish()
    conditions.append(
      "\(bench.disturbedRuns) of \(bench.runs) runs began while a CPU had other work; \(try BenchNetwork.backlogDrops() - drops) packets "
        + "found a CPU's backlog queue full; all took \(plain((monotonicSeconds() - start_s) / 60, decimals: 1)) minutes."
    )
    try show(bench, workloads, conditions)
    if !bench.refusals.isEmpty { throw ExitCode.failure }
  }

  private func show(_ bench: Bench, _ workloads: [any Workload], _ conditions: [String]) throws {
    let sections = workloads.map { Report.Section(id: $0.id, title: $0.title) }
    let report = Report(
      results: bench.results, micro: bench.micro, sections: sections, conditions: conditions, remarks: bench.remarks,
      refusals: bench.refusals, caution: bench.caution)
    if let output {
      try Output(directory: output, report: report).write()
    } else {
      print(report.markdown(charts: []), terminator: "")
    }
  }

  // MARK: What is asked for

  private func list(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
  }

  private func select<Value>(_ names: [String], _ kind: String, _ find: (String) -> Value?) throws -> [Value] {
    try names.map { name in
      guard let value = find(name) else { throw ValidationError("There is no \(kind) '\(name)'; see --help.") }
      return value
    }
  }

  private var selectedPeers: [any Peer] {
    get throws {
      let names = peers.map(list) ?? (quick ? Peers.quick : Peers.all.map(\.id))
      return try select(names, "server", Peers.named)
    }
  }

  private var selectedWorkloads: [any Workload] {
    get throws {
      let names = workloads.map(list) ?? (quick ? Workloads.quick : Workloads.all.map(\.id))
      return try select(names, "workload", Workloads.named)
    }
  }

  private var selectedSizes: [Int] {
    get throws {
      guard let sizes else { return quick ? Self.quickSizes : Self.sizes }
      return try select(list(sizes), "size") { Int($0).flatMap { $0 > 0 && $0 <= 64 << 20 ? $0 : nil } }
    }
  }

  /// With servers that are not installed left out, aloud; what workloads need is a must.
  private func availableSettings(_ workloads: [any Workload]) throws -> Bench.Settings {
    var peers = try selectedPeers
    let needs = workloads.flatMap(\.needs) + [Need(command: "taskset", package: "util-linux")]
    if install {
      try Installation.install(Installation.missing(needs + peers.flatMap(\.needs) + [Installation.plotting]))
    }
    let absent = Installation.missing(needs)
    guard absent.isEmpty else {
      let names = absent.map { "\($0.command) (\($0.package))" }.joined(separator: ", ")
      throw SupportError("not installed: \(names); --install installs them")
    }
    peers.removeAll { peer in
      let absent = Installation.missing(peer.needs)
      guard !absent.isEmpty else { return false }
      let packages = absent.map(\.package).joined(separator: ", ")
      FileHandle.standardError.write(
        Data("apus-bench: \(peer.id) is left out: \(packages) not installed (--install)\n".utf8))
      return true
    }
    return Bench.Settings(
      peers: peers, sizes: try selectedSizes, repetitions: repeats ?? (quick ? 3 : 5),
      connections: connections, duration_s: Double(seconds ?? (quick ? 1 : 3)), apus: apus, isQuick: quick)
  }
}
