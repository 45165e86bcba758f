import Foundation
import Measuring
import TestSupport

/// More is asked than can be answered: does the server still answer what it can, and do others on its CPU still run, or
/// is it the receive livelock the report's 5.1.1 warns of?
struct OverloadWorkload: Workload {
  let id = "overload"
  let title = "Offered load up to four times the capacity, 1 KB, connections kept"
  let needs = [Clients.openLoop.need]

  private static let size = 1024
  /// Of the capacity.
  private static let loads = [0.5, 1, 2, 4]
  /// So many requests may wait for their answers at once.
  private static let connections = 512

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * Self.loads.count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: [Self.size]) { servers in
      var capacities: [String: Double] = [:]
      for server in servers { capacities[server.peer.id] = try capacity(of: server, bench) }
      for multiple in Self.loads {
        try bench.compare(
          servers, workload: id, variant: "\(multiple)x capacity", size: Self.size, warmUp: false,
          measure: { try besideStranger($0, $1, bench) },
          { server in
            var measurement = Bench.Measurement(
              server, Clients.openLoop, size: Self.size, connections: Self.connections,
              settings: settings)
            measurement.load.rate = multiple * capacities[server.peer.id]!
            measurement.expectsErrors = true
            return measurement
          })
      }
    }
    bench.remark(
      "overload: beside the server an ordinary process runs on its CPU without end; `strangerShare` is what it got done, as "
        + "a part of what it gets done alone, and the CPU per request what it did not. The capacity is each server's own, beside that process, with \(Self.connections) connections that send "
        + "when they are answered; what is due while all of them wait is not sent before. A client with one CPU cannot "
        + "offer a kernel-mode server more than it answers with one. Floods that no client waits for are `apus-faults`'s."
    )
  }

  /// Requests per second with the stranger beside it, each client asking when it is answered.
  private func capacity(of server: RunningServer, _ bench: Bench) throws -> Double {
    var measurement = Bench.Measurement(
      server, Clients.openLoop, size: Self.size, connections: Self.connections, settings: bench.settings,
      duration_s: 1)
    measurement.expectsErrors = true
    return try besideStranger(server, measurement, bench).client.requestsPerSecond
  }

  private func besideStranger(_ server: RunningServer, _ measurement: Bench.Measurement, _ bench: Bench) throws -> Run {
    let stranger = try Stranger(on: bench.cpus)
    let before = try server.started.counters()
    let start = stranger.mark
    let clientStart = try bench.cpus.time(of: bench.cpus.client)
    let figures = try measurement.client.run(
      measurement.load, from: server.network.client, prefix: bench.cpus.clientPrefix)
    let strangerShare = stranger.share(since: start)
    var run = Run(
      client: figures, serverBusy_s: (1 - strangerShare) * figures.duration_s, serverBusyShare: 1 - strangerShare,
      clientBusyShare: try bench.cpus.time(of: bench.cpus.client).busyShare(since: clientStart))
    try server.started.check(
      from: before, to: server.started.counters(), requests: figures.requests, sizes: measurement.sizes)
    run.extras["strangerShare"] = strangerShare
    run.extras["askedPerSecond"] = measurement.load.rate
    return run
  }
}
