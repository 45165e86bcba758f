import Measuring

/// How long requests take where all servers have the same to do: 80 % of what nginx can.
struct LatencyWorkload: Workload {
  let id = "latency"
  let title = "At 80 % of nginx's capacity, 1 KB, connections kept"
  let needs = [Clients.openLoop.need]

  private static let size = 1024
  private static let share = 0.8
  /// Of the measurement of the capacity.
  private static let probes = 3

  func count(_ settings: Bench.Settings) -> Int { settings.frontPeers.count * settings.repetitions }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: [Self.size]) { servers in
      guard let nginx = servers.first(where: { $0.peer.id == Peers.baseline }) else {
        return bench.refuse("\(id): needs nginx among the servers")
      }
      // By the same client: it shall be able to ask for what is asked for.
      let capacity = Spread(
        try (0..<Self.probes).map { _ in
          try bench.run(.init(nginx, Clients.openLoop, size: Self.size, settings: settings, duration_s: 1), of: nginx)
            .client
            .requestsPerSecond
        }
      ).median
      try bench.compare(servers, workload: id, variant: "80 % of nginx", size: Self.size) { server in
        var measurement = Bench.Measurement(server, Clients.openLoop, size: Self.size, settings: settings)
        measurement.load.rate = capacity * Self.share
        return measurement
      }
      bench.remark(
        "latency: nginx's capacity was \(plain(capacity)) requests/s; times are counted from when a request was due, also "
          + "where it had to wait for one of \(settings.connections) connections.")
    }
  }
}
