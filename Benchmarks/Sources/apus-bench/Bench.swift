import Foundation
import Measuring
import TestSupport

/// What all workloads share: the servers, the settings, and the results so far.
final class Bench {
  struct Settings {
    var peers: [any Peer]
    var sizes: [Int]
    var repetitions: Int
    /// At a time, where the workload is not about their number.
    var connections: Int
    var duration_s: Double
    var apus: String
    var isQuick: Bool
  }

  let settings: Settings
  let cpus: CPUs
  let progress: Progress
  let site: Site
  private(set) var results: [BenchResult] = []
  private(set) var micro: [MicroFigure] = []
  /// What was not measured, or not right, and why.
  private(set) var refusals: [String] = []
  /// What a reader should know of the results.
  private(set) var remarks: [String] = []
  private(set) var runs = 0
  private(set) var disturbedRuns = 0

  /// The CPUs should be idle before a run: the end of others' work is waited for so long.
  private var idleWait_s: Double { settings.isQuick ? 0.5 : 3 }

  init(_ settings: Settings, progress: Progress) throws {
    self.settings = settings
    self.progress = progress
    cpus = try CPUs()
    site = try Site(settings.sizes + SizeMix.sizes + Self.fixedSizes)
  }

  /// Those that workloads use whatever `--sizes` says.
  static let fixedSizes = [1024, 10_240, 14_000, 102_400, 1_048_576]

  func add(_ result: BenchResult) { results.append(result) }
  func add(_ figure: MicroFigure) { micro.append(figure) }
  func remark(_ text: String) { if !remarks.contains(text) { remarks.append(text) } }

  func refuse(_ text: String) {
    refusals.append(text)
    progress.note("not reported: \(text)")
  }

  /// On a machine whose other work touches more than one run in ten, figures say more about that work.
  var caution: String? {
    guard disturbedRuns * 10 > runs else { return nil }
    return "\(disturbedRuns) of \(runs) runs began while a CPU had other work: these figures are no measurement."
  }

  /// The runs of one server in one case.
  struct Measurement {
    var load: Load
    var client: any Client
    /// Of the bodies asked for, for the check of who answered.
    var sizes: [Int]
    /// Errors are part of the figures: the point is overload.
    var expectsErrors = false
  }

  /// One run: clocks read before and after, and whoever answered asked for it.
  func run(_ measurement: Measurement, of server: RunningServer) throws -> Run {
    var load = measurement.load
    load.localAddress = BenchNetwork.clientAddresses[runs % BenchNetwork.clientAddresses.count]
    runs += 1
    if try !cpus.waitUntilIdle(timeout_s: idleWait_s) { disturbedRuns += 1 }
    let before = try server.started.counters()
    let serverStart = try cpus.time(of: cpus.server)
    let clientStart = try cpus.time(of: cpus.client)
    let figures = try measurement.client.run(
      load, from: server.network.client, prefix: cpus.clientPrefix)
    let clientEnd = try cpus.time(of: cpus.client)
    let serverEnd = try cpus.time(of: cpus.server)
    guard measurement.expectsErrors || (figures.errors == 0 && figures.requests > 0) else {
      throw SupportError("\(server.peer.id): \(figures.errors) of \(figures.requests) requests went wrong")
    }
    let after = try server.started.counters()
    if !measurement.expectsErrors {
      try server.started.check(from: before, to: after, requests: figures.requests, sizes: measurement.sizes)
    }
    var run = Run(
      client: figures, serverBusy_s: serverEnd.busySeconds(since: serverStart),
      serverBusyShare: serverEnd.busyShare(since: serverStart), clientBusyShare: clientEnd.busyShare(since: clientStart)
    )
    if let before, let after, measurement.sizes.isEmpty {
      run.extras["kernelHits"] = Double(after.hits - before.hits) / Double(figures.requests)
    }
    return run
  }
}

/// A server that runs in a network of its own.
struct RunningServer {
  var peer: any Peer
  var started: any StartedPeer
  var network: TestNetwork

  /// Without the port, which is HTTP's own: so all clients send the same Host.
  var authority: String { network.serverAddress }
}

extension Bench {
  /// Starts all servers, each in a network of its own, so that they can take turns; one that does not start is left
  /// out, with a word why.
  ///
  /// - Parameters:
  ///   - sizes: whose answers are checked, and held by those that can, before anything else.
  ///   - suffix: of the targets.
  func withServers(
    _ peers: [any Peer], sizes: [Int], link: BenchNetwork.Link = .plain, suffix: String = "",
    _ body: ([RunningServer]) throws -> Void
  ) throws {
    func start(_ index: Int, _ running: [RunningServer]) throws {
      guard index < peers.count else { return try body(running) }
      let peer = peers[index]
      try BenchNetwork.with(cpus, link: link) { network in
        var running = running
        do {
          let place = Place(network: network, root: site.root, cpus: cpus, apus: settings.apus)
          let server = RunningServer(peer: peer, started: try peer.start(at: place), network: network)
          if suffix.isEmpty { try server.started.warm(sizes.map { (Site.target($0), $0) }) }
          try Site.check(sizes, of: peer.id, over: network, suffix: suffix)
          running.append(server)
        } catch let error as SupportError {
          refuse("\(peer.id): \(error)")
        }
        try start(index + 1, running)
      }
    }
    try start(0, [])
  }

  /// A case of a workload: servers in turns, run by run.
  ///
  /// - Parameters:
  ///   - identity: of the results; its server and client are filled in.
  ///   - prepare: what comes before a run of a server and ends with its result's lifetime.
  ///   - measurement: of that server.
  func compare(
    _ servers: [RunningServer], workload: String, variant: String = "", size: Int?, repetitions: Int? = nil,
    baseline: String = Peers.baseline, warmUp: Bool = true,
    measure: ((RunningServer, Measurement) throws -> Run)? = nil, _ measurement: (RunningServer) throws -> Measurement
  ) throws {
    var runs: [String: [Run?]] = [:]
    var client = ""
    for repetition in 1...(repetitions ?? settings.repetitions) {
      for server in servers {
        let what = [workload, variant, size.map(byteCount) ?? "", server.peer.id].filter { !$0.isEmpty }
          .joined(separator: ", ")
        do {
          let measurement = try measurement(server)
          client = measurement.client.id
          if repetition == 1, warmUp {
            var short = measurement
            short.load.duration_s = 1
            _ = try run(short, of: server)
          }
          let result = try measure?(server, measurement) ?? run(measurement, of: server)
          runs[server.peer.id, default: []].append(result)
          progress.advance("\(what), \(repetition): \(plain(result.client.requestsPerSecond)) requests/s")
        } catch let error as CustomStringConvertible & Error {
          runs[server.peer.id, default: []].append(nil)
          progress.skip(1)
          refuse("\(what), \(repetition): \(error)")
        }
      }
    }
    for server in servers {
      let identity = BenchResult.Identity(
        server: server.peer.id, workload: workload, variant: variant, size: size, client: client)
      let below = runs[baseline].map { (baseline, $0) }
      if let result = BenchResult(identity, runs: runs[server.peer.id] ?? [], baseline: below) { add(result) }
    }
  }
}
