import Foundation
import TestSupport

/// What the daemon stands on is taken away, or was never there.
extension DaemonFaults {
  /// Without its files the server has nothing to say, and says so; they come back, and so do the hits.
  func rootDeleted() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      let moved = files.root + ".gone"
      let load = CheckedLoad(files: files.all, threads: 4, requests: 40, requestsPerConnection: 1, timeout_s: 5)
      guard rename(files.root, moved) == 0 else { throw SupportError.systemCall("rename", errno) }
      defer { try? FileManager.default.removeItem(atPath: moved) }
      try FileManager.default.removeItem(atPath: moved)
      pause(seconds: 1)
      let without = try load.run(network)
      let alive = server.process.poll() == nil && (try? server.status()) != nil
      try files.write()
      let again = alive && (try? context.warm(server, files.targets, over: network)) != nil
      context.add(
        "root deleted and made anew", promise: "after 1 s no file of it, the daemon lives; then hits again",
        measured: "\(without.right) of 40 requests still got the file, \(without.wrong) another answer, "
          + "failures: \(without.failures.isEmpty ? "none" : without.failureText); "
          + (alive ? "the daemon answers" : "the daemon is gone") + (again ? "; hits again" : "; no hits again"),
        kept: without.right == 0 && without.wrong == 40 && alive && again)
    }
  }

  /// More clients of the user half than the daemon has descriptors for; then they leave.
  func outOfDescriptors() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let server = try context.serve(
        network, root: files.root, commandPrefix: ["prlimit", "--nofile=\(Self.descriptors):\(Self.descriptors)"])
      try context.warm(server, files.targets, over: network)
      let result = try withStrangers(network, files.targets[0]) {
        try CheckedLoad(files: files.all, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10).run(
          network)
      }
      pause(seconds: 1)
      // New objects need descriptors to be read.
      let missed = try RawClient(network).get(files.targets[1] + "?x")
      _ = try server.control("purge", "--all").orThrow()
      try context.warm(server, files.targets, over: network)
      let alive = server.process.poll() == nil
      context.add(
        "out of descriptors", promise: "hits go on; then misses are served again and objects stored",
        measured:
          "\(Self.strangers) idle clients and \(Self.descriptors) descriptors: \(result.right) of 400 hits right, "
          + "\(result.wrong) wrong" + (result.failures.isEmpty ? "" : ", \(result.failureText)")
          + "; without them status \(missed.status) for a miss, \(try server.status().cache.objects) objects stored anew",
        kept: result.right == 400 && result.wrong == 0 && missed.status == 200 && alive)
    }
  }

  private static let descriptors = 256
  private static let strangers = 400

  /// Runs a closure while many clients keep connections open that were handed over for their query.
  private func withStrangers<Result>(
    _ network: TestNetwork, _ target: String, _ body: () throws -> Result
  ) throws -> Result {
    let strangers = try (0..<Self.strangers).map { _ in try RawClient(network, timeout_s: 1) }
    for stranger in strangers { try? stranger.send("GET \(target)?x HTTP/1.1\r\nHost: a\r\n\r\n") }
    pause(seconds: 1)
    return try withExtendedLifetime(strangers) { try body() }
  }

  func twoDaemons() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let first = try context.serve(network, root: files.root)
      try context.warm(first, files.targets, over: network)
      let admin = try ScratchDirectory("second")
      let second = try network.server.run(
        [
          context.apus, "serve", files.root, "--listen", "\(network.serverAddress):80", "--mode", "kernel", "--admin",
          admin.path(of: "admin.sock"),
        ], timeout_s: 20)
      let line = second.error.split(separator: "\n").first { $0.hasPrefix("apus: error: ") }
      let before = try first.status().hits
      let load = CheckedLoad(files: files.all, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10)
      let result = try load.run(network)
      let hits = try first.status().hits - before
      context.add(
        "two daemons on one port", promise: "the second ends with a clear error, the first goes on",
        measured: "\(second.termination), \"\(line ?? "no message")\"; the first: \(result.right) of 400 right, "
          + "\(hits) hits",
        kept: second.termination == .exited(1) && line != nil && result.right == 400 && hits == 400)
    }
  }

  /// Each has its own port; the device runs both programs.
  func twoDaemonsOnOneInterface() throws {
    let files = [try CheckedFiles(count: 10), try CheckedFiles(count: 11)]
    let ports: [UInt16] = [80, 8080]
    try TestNetwork.withVeth { network in
      var measured: [String] = []
      var kept = true
      let servers = try zip(files, ports).map { try context.serve(network, root: $0.root, port: $1) }
      for (index, server) in servers.enumerated() {
        try context.warm(server, files[index].targets, over: network, port: ports[index])
        let before = try server.status().hits
        let load = CheckedLoad(
          files: files[index].all, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10)
        let result = try load.run(network, port: ports[index])
        let hits = try server.status().hits - before
        measured.append("\(result.right) of 400 right, \(hits) hits")
        kept = kept && result.right == 400 && hits == 400
      }
      context.add(
        "two daemons on one interface", promise: "both answer", measured: measured.joined(separator: "; "), kept: kept)
    }
  }

  /// The device goes with all that was attached to it, and comes back under its name.
  func interfaceVanishes() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      try network.server.ip("link", "delete", "eth0")
      pause(seconds: 2)
      let alive = server.process.poll() == nil && (try? server.status()) != nil
      _ = try VethPair(
        (network.server, "eth0", "\(network.serverAddress)/24"), (network.client, "eth0", "\(network.clientAddress)/24")
      )
      var again = false
      if alive { again = (try? context.warm(server, files.targets, over: network)) != nil }
      let end = alive ? try server.stop() : nil
      context.add(
        "interface vanishes and comes back", promise: "the daemon lives, then hits again, and ends well",
        measured: (alive ? "the daemon answers" : "the daemon is gone: \(server.process.transcript.suffix(200))")
          + (again ? "; hits again" : "; no hits again") + "; \(end.map { "\($0)" } ?? "-")",
        kept: alive && again && end == .exited(0))
    }
  }
}
