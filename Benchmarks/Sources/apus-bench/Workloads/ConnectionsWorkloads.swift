import Foundation
import Measuring
import TestSupport

/// Many connections that all ask.
struct SimultaneousWorkload: Workload {
  let id = "connections"
  let title = "Many connections at a time, 1 KB, connections kept"
  let needs = [Clients.wrk.need]

  static let size = 1024

  static func counts(_ settings: Bench.Settings) -> [Int] {
    settings.isQuick ? [1, 100, 1000] : [1, 10, 100, 1000, 10_000]
  }

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * Self.counts(settings).count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(settings.frontPeers, sizes: [Self.size]) { servers in
      for count in Self.counts(settings) {
        try bench.compare(
          servers, workload: id, variant: "\(count) connections", size: Self.size
        ) {
          .init($0, Clients.wrk, size: Self.size, connections: count, settings: settings)
        }
      }
    }
    bench.remark(BenchNetwork.remarkOnDescriptors)
  }
}

/// Many connections that have asked once and then rest, while a few others ask: the report says that one should not
/// forget that even idle connections could impose a load.
struct IdleWorkload: Workload {
  let id = "idle"
  let title = "Idle connections beside 32 that ask for 1 KB"
  let needs = [Clients.wrk.need]

  private static func counts(_ settings: Bench.Settings) -> [Int] {
    settings.isQuick ? [0, 1000] : [0, 1, 100, 1000, 10_000]
  }

  func count(_ settings: Bench.Settings) -> Int {
    settings.frontPeers.count * Self.counts(settings).count * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    let size = SimultaneousWorkload.size
    try bench.withServers(settings.frontPeers, sizes: [size]) { servers in
      for count in Self.counts(settings) {
        try bench.compare(
          servers, workload: id, variant: "\(count) idle", size: size,
          measure: { server, measurement in
            // For one server at a time: their descriptors are all this process's.
            let idle = try rest(count, at: server, size)
            let run = try bench.run(measurement, of: server)
            // Each that is asked of is still there.
            for client in idle.prefix(100) where try client.get(Site.target(size)).status != 200 {
              throw SupportError("\(server.peer.id): an idle connection is no longer served")
            }
            return run
          },
          { .init($0, Clients.wrk, size: size, settings: settings) })
      }
    }
    bench.remark(BenchNetwork.remarkOnDescriptors)
  }

  private func rest(_ count: Int, at server: RunningServer, _ size: Int) throws -> [RawClient] {
    try (0..<count).map { _ in
      let client = try RawClient(server.network)
      _ = try client.get(Site.target(size))
      return client
    }
  }
}
