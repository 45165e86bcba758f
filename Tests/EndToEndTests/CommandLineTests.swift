import TestSupport
import Testing

extension EndToEnd {
  /// Wrong usage and impossible requests end with a clear message and the right exit code.
  @Suite struct CommandLine {
    private func serve(
      _ network: TestNetwork, _ arguments: [String], commandPrefix: [String] = []
    ) throws -> CommandResult {
      let admin = try ScratchDirectory("admin")
      return try network.server.run(
        commandPrefix + [ApusProcess.binary, "serve"] + arguments + ["--admin", admin.path(of: "admin.sock")],
        timeout_s: 20)
    }

    private func expectFailure(
      _ result: CommandResult, naming words: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(result.termination == .exited(1), "\(result)", sourceLocation: sourceLocation)
      #expect(result.output == "", "nothing is ready", sourceLocation: sourceLocation)
      let line = result.error.split(separator: "\n").first { $0.hasPrefix("apus: error: ") }
      #expect(line != nil, "\(result.error)", sourceLocation: sourceLocation)
      for word in words {
        #expect(
          line?.contains(word) == true, "the message names \(word): \(result.error)", sourceLocation: sourceLocation)
      }
    }

    @Test func `no such directory`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        let listen = "127.0.0.1:\(try network.freePort())"
        expectFailure(
          try serve(network, ["/no/such/directory", "--mode", "user", "--listen", listen]),
          naming: "/no/such/directory")
        let file = Site.shared.root + Site.small
        expectFailure(try serve(network, [file, "--mode", "user", "--listen", listen]), naming: file)
      }
    }

    @Test func `the port is taken, in user mode`() throws {
      try Bench.user { bench in
        let listen = "127.0.0.1:\(bench.port)"
        expectFailure(
          try serve(bench.network, [Site.shared.root, "--mode", "user", "--listen", listen]), naming: listen)
        expectFile(try bench.connect().get(Site.small), Site.small)
      }
    }

    @Test(.kernelMode, arguments: [false, true])
    func `the port is taken, in kernel mode`(backend: Bool) throws {
      try TestNetwork.withVeth { network in
        _ = try NginxServer(in: network, port: 80, root: Site.shared.root)
        _ = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        let arguments = [Site.shared.root, "--mode", "kernel", "--listen", "10.77.0.1:80"]
        expectFailure(
          try serve(network, arguments + (backend ? ["--backend", "10.77.0.1:8081"] : [])),
          naming: "10.77.0.1:80")
      }
    }

    @Test(.kernelMode) func `an address that is not this machine's`() throws {
      try TestNetwork.withVeth { network in
        for mode in ["kernel", "user"] {
          expectFailure(
            try serve(network, [Site.shared.root, "--mode", mode, "--listen", "10.77.0.77:80"]),
            naming: "10.77.0.77")
        }
      }
    }

    /// Root without a single capability, as in a container.
    private static let withoutPrivilege = [
      "setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--",
    ]

    @Test(.kernelMode) func `kernel mode without privilege is an error`() throws {
      try TestNetwork.withLoopback { network in
        let result = try serve(
          network, [Site.shared.root, "--mode", "kernel", "--listen", "127.0.0.1:8080"],
          commandPrefix: Self.withoutPrivilege)
        expectFailure(result, naming: "CAP_")
      }
    }

    @Test(.kernelMode) func `auto without privilege serves in user mode and says why`() throws {
      try TestNetwork.withLoopback { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, port: 8080, mode: "auto", commandPrefix: Self.withoutPrivilege)
        #expect(apus.readyLine.contains(" on http://127.0.0.1:8080 (user mode: "))
        #expect(apus.readyLine.contains("CAP_"))
        expectFile(try RawClient(network, port: 8080).get(Site.small), Site.small)
        #expect(try apus.status().mode == "user")
      }
    }

    @Test(.kernelMode) func `auto with privilege serves in kernel mode`() throws {
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(in: network, root: Site.shared.root, mode: "auto")
        #expect(apus.readyLine.hasPrefix("apus: serving \(Site.shared.root) on http://10.77.0.1:80 (kernel mode: "))
        #expect(apus.readyLine.contains("eth0"))
        let status = try apus.status()
        #expect(status.mode == "kernel")
        #expect(status.interfaces.contains("eth0"))
      }
    }

    @Test(.kernelMode) func `doctor finds kernel mode possible, and impossible without privilege`() throws {
      try TestNetwork.withLoopback { network in
        #expect(try network.server.run([ApusProcess.binary, "doctor"]).termination == .exited(0))
        let result = try network.server.run(Self.withoutPrivilege + [ApusProcess.binary, "doctor"])
        #expect(result.termination == .exited(1))
        #expect((result.output + result.error).contains("CAP_"))
      }
    }

    @Test(arguments: [
      ["serve", "--mode", "sideways"], ["serve", "--listen", "nonsense"], ["frobnicate"], ["purge"],
    ])
    func `wrong usage`(_ arguments: [String]) throws {
      let result = try CommandResult.run([ApusProcess.binary] + arguments, timeout_s: 10)
      #expect(result.termination == .exited(64), "\(result)")
      #expect(result.error.contains("Usage:"), "\(result.error)")
    }

    @Test func `status and purge without a server say where they looked`() throws {
      let directory = try ScratchDirectory("admin")
      let admin = directory.path(of: "admin.sock")
      for command in [["status"], ["purge", "/x"]] {
        let result = try CommandResult.run([ApusProcess.binary] + command + ["--admin", admin], timeout_s: 10)
        expectFailure(result, naming: admin)
      }
    }
  }
}
