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
      let load = CheckedLoad(files: files, threads: 4, requests: 40, requestsPerConnection: 1, timeout_s: 5)
      guard rename(files.root, moved) == 0 else { throw SupportError.systemCall("rename", errno) }
      defer { try? FileManager.default.removeItem(atPath: moved) }
      try FileManager.default.removeItem(atPath: moved)
      pause(seconds: 1)
      let without = try load.run(network)
      let alive = server.process.poll() == nil && (try? server.status()) != nil
      context.add(
        "root deleted", promise: "after 1 s no file of it, the daemon lives",
        measured: "\(without.right) of 40 requests still got the file, \(without.wrong) another answer, "
          + "failures: \(without.failures.isEmpty ? "none" : without.failureText); "
          + (alive ? "the daemon answers" : "the daemon is gone"),
        kept: without.right == 0 && without.wrong == 40 && alive)
    }
  }

  /// More clients of the user half than the daemon has descriptors for.
  func outOfDescriptors() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let server = try context.serve(
        network, root: files.root, commandPrefix: ["prlimit", "--nofile=256:256"])
      try context.warm(server, files.targets, over: network)
      // Handed over by their query; they stay.
      let strangers = try (0..<400).map { _ in try RawClient(network, timeout_s: 1) }
      for stranger in strangers { try? stranger.send("GET \(files.targets[0])?x HTTP/1.1\r\nHost: a\r\n\r\n") }
      pause(seconds: 1)
      let hits = try CheckedLoad(
        files: files, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10
      ).run(network)
      let alive = server.process.poll() == nil
      withExtendedLifetime(strangers) {}
      context.add(
        "out of descriptors", promise: "hits go on, the daemon lives",
        measured: "400 idle clients and 256 descriptors: \(hits.right) of 400 hits right, \(hits.wrong) wrong"
          + (hits.failures.isEmpty ? "" : ", \(hits.failureText)") + (alive ? "" : "; the daemon is gone"),
        kept: hits.right == 400 && hits.wrong == 0 && alive)
    }
    try recoversDescriptors(files)
  }

  /// When the clients have gone there are descriptors again: misses are served, and new objects stored.
  private func recoversDescriptors(_ files: CheckedFiles) throws {
    try TestNetwork.withVeth { network in
      let server = try context.serve(
        network, root: files.root, commandPrefix: ["prlimit", "--nofile=256:256"])
      do {
        let strangers = try (0..<400).map { _ in try RawClient(network, timeout_s: 1) }
        for stranger in strangers { try? stranger.send("GET \(files.targets[0])?x HTTP/1.1\r\nHost: a\r\n\r\n") }
        pause(seconds: 1)
        withExtendedLifetime(strangers) {}
      }
      pause(seconds: 1)
      let missed = try RawClient(network).get(files.targets[1] + "?x")
      try context.warm(server, files.targets, over: network)
      context.add(
        "descriptors again", promise: "misses are served and new objects stored",
        measured: "status \(missed.status) for a miss, \(try server.status().cache.objects) objects",
        kept: missed.status == 200)
    }
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
      let load = CheckedLoad(files: files, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10)
      let result = try load.run(network)
      let hits = try first.status().hits - before
      context.add(
        "two daemons on one port", promise: "the second ends with a clear error, the first goes on",
        measured: "\(second.termination), \"\(line ?? "no message")\"; the first: \(result.right) of 400 right, "
          + "\(hits) hits",
        kept: second.termination == .exited(1) && line != nil && result.right == 400 && hits == 400)
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
