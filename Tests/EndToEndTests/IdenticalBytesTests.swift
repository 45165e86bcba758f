import TestSupport
import Testing

extension EndToEnd {
  /// 500 files of 0 B to 5 MB through curl: the same checksums as on disk, whoever serves them.
  @Suite(.kernelMode) struct IdenticalBytes {
    /// A tree with the checksum of every file.
    struct Tree {
      let files: GeneratedFiles
      let directory: ScratchDirectory
      let checksums: [String]

      var paths: [String] { files.files.map(\.path) }
      /// Those that fit, with their head, a segment of an Ethernet path.
      var smallPaths: [String] { files.files.filter { $0.size <= 1024 }.map(\.path) }

      init() throws {
        directory = try ScratchDirectory("files")
        files = try GeneratedFiles(count: 500, in: directory)
        checksums = try sha256(files.files.map(\.path), in: files.root)
      }

      /// Fetches files through one curl and compares their checksums.
      ///
      /// - Returns: how often curl connected.
      @discardableResult
      func expectIdentical(
        _ paths: [String], from origin: String, over network: TestNetwork, fields: [String] = [],
        sourceLocation: SourceLocation = #_sourceLocation
      ) throws -> Int {
        let target = try ScratchDirectory("fetched")
        let connections = try network.client.curl(paths, from: origin, fields: fields, into: target)
        let fetched = try sha256(paths, in: target.path(of: "files"))
        let expected = Set(checksums)
        let wrong = fetched.filter { !expected.contains($0) }
        #expect(fetched.count == paths.count, sourceLocation: sourceLocation)
        #expect(wrong.isEmpty, "files that differ", sourceLocation: sourceLocation)
        return connections
      }
    }

    @Test func `in kernel mode over veth, from the kernel cache and handed over`() throws {
      try TestNetwork.withVeth { try expectIdenticalInKernelMode(on: $0) }
    }

    @Test func `in kernel mode over lo`() throws {
      try TestNetwork.withLoopback { try expectIdenticalInKernelMode(on: $0) }
    }

    @Test func `in kernel mode with an unmodified nginx behind`() throws {
      try TestNetwork.withVeth { try expectIdenticalInKernelMode(on: $0, backend: true) }
    }

    @Test func `from nginx alone`() throws {
      let tree = try Tree()
      try TestNetwork.withVeth { network in
        _ = try NginxServer(in: network, port: 80, root: tree.files.root)
        let connections = try tree.expectIdentical(tree.paths, from: "http://10.77.0.1", over: network)
        #expect(connections == 1)
      }
    }

    private func expectIdenticalInKernelMode(on network: TestNetwork, backend: Bool = false) throws {
      let tree = try Tree()
      tree.files.waitUntilQuiet()
      try Bench.kernel(on: network, root: tree.files.root, backend: backend) { bench in
        // A connection each: what misses is handed over with its connection, so only the first request of each
        // connection tells the daemon what to store. Some misses of a burst are not told: the kernel part's filter of
        // repeated ones is a small table. They are at their next request.
        try tree.expectIdentical(tree.paths, from: bench.origin(), over: network, fields: ["Connection: close"])
        let small = tree.smallPaths
        var report = ""
        let filled = try eventually(timeout_s: 30, every: 1.2) {
          let before = try bench.apus.status()
          try tree.expectIdentical(small, from: bench.origin(), over: network, fields: ["Connection: close"])
          let after = try bench.apus.status()
          report = after.changes(since: before)
          return after.hits == before.hits + small.count
        }
        try #require(filled, "every small file from the kernel cache: \(report)")

        let before = try bench.apus.status()
        let connections = try tree.expectIdentical(small, from: bench.origin(), over: network)
        let after = try bench.apus.status()
        #expect(connections == 1)
        #expect(after.hits == before.hits + small.count, "\(after.changes(since: before))")

        // Hits, then the first miss, then the rest from the server behind, all on one connection.
        let all = try tree.expectIdentical(tree.paths, from: bench.origin(), over: network)
        #expect(all == 1)
      }
    }
  }

  @Suite struct IdenticalBytesUnprivileged {
    @Test func `in user mode`() throws {
      let tree = try IdenticalBytes.Tree()
      try Bench.user(root: tree.files.root) { bench in
        let connections = try tree.expectIdentical(tree.paths, from: bench.origin(), over: bench.network)
        #expect(connections == 1)
        #expect(try bench.apus.status().mode == "user")
        #expect(try bench.apus.status().hits == 0)
      }
    }
  }
}

/// Lines of "CHECKSUM  PATH".
private func sha256(_ paths: [String], in directory: String) throws -> [String] {
  let command = "cd \(directory) && sha256sum \(paths.joined(separator: " "))"
  return try CommandResult.run(["sh", "-c", command]).orThrow().output.split(separator: "\n").map(String.init)
}
