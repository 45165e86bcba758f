import Measuring
import TestSupport

/// A question put to all servers alike.
protocol Workload: Sendable {
  /// What `--workloads` and results call it.
  var id: String { get }
  /// What is asked, in a line.
  var title: String { get }
  /// What it needs beside the servers.
  var needs: [Need] { get }

  /// Runs there will be, for the progress line.
  func count(_ settings: Bench.Settings) -> Int
  func run(_ bench: Bench) throws
}

enum Workloads {
  static let all: [any Workload] = [
    SizesWorkload(keepsAlive: true), SizesWorkload(keepsAlive: false), WireWorkload(), SerialWorkload(),
    LinksWorkload(), MixWorkload(), SimultaneousWorkload(), IdleWorkload(), OverloadWorkload(), LatencyWorkload(),
    HandoverWorkload(), RedirectWorkload(), OnePacketWorkload(), LoggingWorkload(), TLSWorkload(), MicroWorkload(),
    BudgetWorkload(),
  ]

  static let quick = ["keepalive", "close", "micro", "budget"]

  static func named(_ id: String) -> (any Workload)? { all.first { $0.id == id } }
}

extension Bench.Settings {
  /// All but what is behind the kernel part, which has a workload of its own: `handover`.
  var frontPeers: [any Peer] { peers.filter { $0.id != ApusPeer(form: .misses).id } }

  /// The servers a question is about that `--peers` has as well.
  func peers(_ ids: [String]) -> [any Peer] {
    peers.filter { ids.contains($0.id) }
  }
}

extension Bench.Measurement {
  /// One file, again and again.
  ///
  /// - Parameters:
  ///   - connections: where the settings' number will not do; `duration_s` likewise.
  init(
    _ server: RunningServer, _ client: any Client, size: Int, connections: Int? = nil, keepsAlive: Bool = true,
    settings: Bench.Settings, duration_s: Double? = nil, suffix: String = ""
  ) {
    load = Load(
      authority: server.authority, targets: [Site.target(size) + suffix],
      connections: connections ?? settings.connections, keepsAlive: keepsAlive,
      duration_s: duration_s ?? settings.duration_s)
    self.client = client
    sizes = [size]
  }
}
