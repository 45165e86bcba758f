import ArgumentParser
import Foundation
import TestSupport

@main
struct ApusBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-benchmark",
    abstract: "Measures Apus against nginx over veth, everything on one CPU, and prints a Markdown table.",
    discussion: "Needs root (network namespaces, kernel mode), nginx, wrk, ab and taskset.")

  @Option(help: "Runs of each server and workload.")
  var repetitions = 5

  @Option(help: "Seconds of each run.")
  var seconds = 5

  @Option(help: "The CPU everything runs on; by default the last one.")
  var cpu: Int?

  @Option(help: ArgumentHelp("The apus to measure; by default that of `swift build -c release`.", valueName: "path"))
  var apus = ApusBenchmark.defaultBinary

  @Option(name: .customLong("server"), help: "Measure this one; may be given several times.")
  var contenders: [Contender] = [.nginx, .kernel]

  /// .build/release/apus of the package this one lies in.
  private static var defaultBinary: String {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
    return package.standardizedFileURL.path + "/.build/release/apus"
  }

  func validate() throws {
    guard repetitions > 0, seconds > 0 else { throw ValidationError("Nothing would be measured.") }
  }

  func run() throws {
    guard geteuid() == 0 else { throw SupportError("the benchmark makes network namespaces: run it as root") }
    guard contenders == [.nginx] || access(apus, X_OK) == 0 else {
      throw SupportError("\(apus) does not exist; `swift build -c release --product apus` makes it")
    }
    let cpu = cpu ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1
    let site = try ScratchDirectory("benchmark")
    for size in Set(Workload.all.map(\.fileBytes)) {
      try site.write(Array(repeating: UInt8(ascii: "x"), count: size), to: "file-\(size).html")
    }
    var report = Report()
    var disturbed = 0
    for workload in Workload.all {
      var runs: [Contender: [Measurement]] = [:]
      for repetition in 1...repetitions {
        for contender in contenders {
          if try !CPUClock.waitUntilIdle(cpu: cpu, timeout_s: 20) {
            note("CPU \(cpu) has other work; measuring all the same")
            disturbed += 1
          }
          let measurement = try measure(contender, workload, root: site.path, cpu: cpu)
          runs[contender, default: []].append(measurement)
          let rate = format(measurement.requestsPerSecond)
          note("\(workload.title), \(contender.title), \(repetition)/\(repetitions): \(rate) requests/s")
        }
      }
      report.rows.append((workload, contenders.map { ($0, runs[$0]!) }))
    }
    print(try Report.conditions(cpu: cpu, repetitions: repetitions, duration_s: seconds, disturbed: disturbed))
    print(report.markdown(), terminator: "")
  }

  /// One run in a fresh network with nothing in it but the server and its client.
  private func measure(_ contender: Contender, _ workload: Workload, root: String, cpu: Int) throws -> Measurement {
    try TestNetwork.withVeth { network in
      // Connections are closed by the server, so that the client's ports are free again at once; still, many are open.
      try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
      let pinned = ["taskset", "-c", "\(cpu)"]
      var url = "http://\(network.serverAddress)\(workload.path)"
      var server: ApusProcess?
      switch contender {
      case .nginx:
        _ = try NginxServer(in: network, root: root, accessLog: false, commandPrefix: pinned)
      case .kernel, .handover, .user:
        let mode = contender == .user ? "user" : "kernel"
        server = try ApusProcess(in: network, root: root, mode: mode, commandPrefix: pinned, binary: apus)
        if contender == .kernel { try server!.warm([workload.path], over: network) }
        if contender == .handover { url += "?miss" }
      }
      // Caches and the CPU's clock settle.
      _ = try workload.run(url, from: network.client, duration_s: 1, on: cpu)
      let before = try server?.status()
      let start = try CPUClock(cpu: cpu)
      let result = try workload.run(url, from: network.client, duration_s: seconds, on: cpu)
      let busy_s = try CPUClock(cpu: cpu).busySeconds(since: start)
      if let server, let before { try check(contender, result, from: before, to: server.status()) }
      return Measurement(
        requestsPerSecond: result.requestsPerSecond,
        cpuMicrosecondsPerRequest: busy_s * 1e6 / Double(result.requests))
    }
  }

  /// A figure counts only if those answered whose figure it is.
  private func check(
    _ contender: Contender, _ result: LoadResult, from before: StatusReport, to after: StatusReport
  ) throws {
    let hits = after.hits - before.hits
    let right =
      switch contender {
      case .nginx: true
      case .kernel: hits >= result.requests
      case .handover: hits == 0 && after.handovers > before.handovers
      case .user: after.mode == "user"
      }
    guard right else {
      throw SupportError("\(contender.title): \(result.requests) requests, but \(hits) hits: \(after)")
    }
  }

  private func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
