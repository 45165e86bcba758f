import Foundation
import TestSupport

/// A relay between client and server duplicates, reorders and corrupts packets.
struct Disorder {
  private let context: FaultContext

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    let files = try CheckedFiles(count: 20)
    for isKept in [true, false] {
      context.attempt(isKept ? "kept connections" : "short connections") { try run(files, isKept: isKept) }
    }
  }

  private func run(_ files: CheckedFiles, isKept: Bool) throws {
    let requests = context.count(5_000, sample: 1_000)
    let threads = 50
    try RelayedNetwork.use { network, relay in
      try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      let before = try server.status()
      let load = CheckedLoad(
        files: files.all, threads: threads, requests: requests, requestsPerConnection: isKept ? requests / threads : 1,
        timeout_s: 20)
      relay.begin()
      let result = try load.run(network)
      relay.end()
      let hits = try server.status().hits - before.hits
      let counts = relay.counts
      var measured =
        "\(result.right) of \(requests) right, \(result.wrong) wrong; \(percentage(hits, of: requests)) hits; "
      measured += "\(counts.forwarded) packets, \(counts.duplicated) duplicated, \(counts.reordered) reordered, "
      measured += "\(counts.corrupted) corrupted; \(result.latencies)"
      if !result.failures.isEmpty { measured += "; \(result.failureText)" }
      context.add(
        isKept ? "1 % of each, kept connections" : "1 % of each, short connections",
        promise: "all answered, none wrong", measured: measured,
        kept: result.right == requests && result.wrong == 0 && counts.corrupted > 0 && counts.reordered > 0
          && counts.duplicated > 0)
    }
  }
}
