import Foundation
import TestSupport

/// Thousands of connections that have asked once and stay open: do others notice?
struct IdleConnections {
  private let context: FaultContext
  private static let target = "/checked-1.css"
  private static let rounds = 7

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    let files = try CheckedFiles(count: 10)
    let count = context.count(10_000, sample: 2000)
    try TestNetwork.withVeth { network in
      try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      var without: [Double] = []
      var with: [Double] = []
      for _ in 0..<context.count(Self.rounds, sample: 3) {
        without.append(try rate(network))
        let idle = try network.client.withThread {
          try (0..<count).map { _ in
            let client = try FaultClient(to: network.serverAddress, port: 80, timeout_s: 10)
            _ = try client.get(Self.target, closes: false)
            return client
          }
        }
        with.append(try rate(network))
        // Each of them is still served.
        for client in idle.prefix(100) { _ = try client.get(Self.target, closes: false) }
      }
      let ratio = median(with) / median(without)
      context.add(
        "\(count) idle connections", promise: "hit rate within 10 % of none",
        measured:
          "\(format(median(with))) hits/s, \(format(median(without))) without; ratio \(format(ratio, decimals: 2))",
        // Rates are for the whole measurement on a quiet machine.
        kept: context.isSample ? nil : ratio >= 0.9)
    }
  }

  /// Requests a second, all of them hits.
  private func rate(_ network: TestNetwork) throws -> Double {
    let load = try network.client.wrk(
      "http://\(network.serverAddress)\(Self.target)", connections: 16, duration_s: 2)
    guard load.failures == 0 else { throw SupportError("requests failed: \(load.output)") }
    return load.requestsPerSecond
  }
}
