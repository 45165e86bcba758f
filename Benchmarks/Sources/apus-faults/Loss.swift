import Foundation
import TestSupport

/// A router between client and server drops packets at random, both ways.
struct Loss {
  private let context: FaultContext
  private static let nginxPort: UInt16 = 8081
  private static let threads = 100
  /// What the issue promises: an answer within so many seconds.
  private static let patience_s = 15.0
  /// Later answers are waited for as well, to know how late they were.
  private static let timeout_s = 60.0

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    let files = try CheckedFiles(count: 20)
    // At 5 % an answer of a short connection can take longer than promised (Documentation/Faults.md): not in a sample.
    for percent in context.isSample ? [1] : [1, 5] {
      try TestNetwork.withLoss(percent: percent) { network in
        try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
        _ = try NginxServer(in: network, port: Self.nginxPort, root: files.root)
        let server = try context.serve(network, root: files.root)
        try context.warm(server, files.targets, over: network)
        for isKept in [true, false] {
          context.attempt("\(percent) %, \(isKept ? "kept" : "short") connections") {
            try run(network, server, files, percent: percent, isKept: isKept)
          }
        }
      }
    }
  }

  private func run(
    _ network: TestNetwork, _ server: ApusProcess, _ files: CheckedFiles, percent: Int, isKept: Bool
  ) throws {
    let requests = context.count(20_000, sample: 1_000)
    let load = CheckedLoad(
      files: files.all, threads: Self.threads, requests: requests,
      requestsPerConnection: isKept ? requests / Self.threads : 1, timeout_s: Self.timeout_s)
    let before = try server.status()
    let lostBefore = try network.lostPackets()
    let apus = try load.run(network, port: 80)
    let lost = try network.lostPackets() - lostBefore
    let after = try server.status()
    let hits = after.hits - before.hits
    let nginx = try load.run(network, port: Self.nginxPort)
    var measured = "\(apus.right) of \(requests) right, \(apus.wrong) wrong; \(percentage(hits, of: requests)) hits; "
    measured += "\(lost) packets lost; \(apus.latencies); nginx \(nginx.latencies)"
    let handovers = after.handovers(since: before)
    if !handovers.isEmpty { measured += "; handed over: \(handovers)" }
    if !apus.failures.isEmpty { measured += "; \(apus.failureText)" }
    if !nginx.failures.isEmpty { measured += "; nginx: \(nginx.failureText)" }
    context.add(
      "\(percent) %, \(isKept ? "kept" : "short") connections", promise: "all answered within 15 s, none wrong",
      measured: measured,
      kept: apus.right == requests && apus.wrong == 0 && apus.latencies.longest_s <= Self.patience_s && lost > 0)
  }
}

extension StatusReport {
  /// "3 noObject, 1 window": hand-overs by reason between two reports.
  func handovers(since earlier: StatusReport) -> String {
    (kernel?.handovers ?? [:])
      .map { (reason: $0.key, count: $0.value - earlier.handovers($0.key)) }
      .filter { $0.count > 0 }.sorted { ($1.count, $0.reason) < ($0.count, $1.reason) }
      .map { "\($0.count) \($0.reason)" }.joined(separator: ", ")
  }
}
