import Glibc
import TestSupport
import Testing

extension EndToEnd {
  /// What stands behind: every kind of listener the kernel knows.
  @Suite(.kernelMode) struct Listeners {
    /// A connection with one request the kernel part hands over.
    private func expectHandedOver(
      _ network: TestNetwork, connections: Int = 1, _ location: SourceLocation = #_sourceLocation
    ) throws {
      for _ in 0..<connections {
        let response = try RawClient(network).get("/small.html?query")
        #expect(response.status == 200 && response["x-peer"] == network.clientAddress, sourceLocation: location)
      }
    }

    struct Case: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var kind: TestListener.Kind
    }

    static let kinds = [
      Case(testDescription: "at the server's address", kind: .init()),
      Case(testDescription: "at all addresses", kind: .init { $0.isWildcard = true }),
      Case(testDescription: "IPv6, dual stack", kind: .init { $0.isDualStack = true }),
      Case(testDescription: "four in a SO_REUSEPORT group", kind: .init { $0.count = 4 }),
      Case(testDescription: "TCP_DEFER_ACCEPT", kind: .init { $0.deferral_s = 5 }),
    ]

    @Test(arguments: kinds)
    func `connections are handed over to every kind of listener, with the client's address`(_ one: Case) throws {
      try TestNetwork.withVeth { network in
        let listener = try TestListener(in: network, port: 8081, one.kind)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        let before = listener.accepted.reduce(0, +)
        try expectHandedOver(network, connections: 40)
        #expect(listener.accepted.reduce(0, +) >= before + 40)
        if one.kind.count > 1 {
          #expect(listener.accepted.allSatisfy { $0 > 0 }, "the group shares the work: \(listener.accepted)")
        }
        let status = try apus.status()
        #expect(status.handovers == 40)
        #expect(status.kernel?.drops?["handoverRefused"] == 0 && status.kernel?.drops?["noListener"] == 0)
      }
    }

    @Test func `where nobody listens a client is refused, until somebody does`() throws {
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        #expect(throws: RawClient.ConnectError(code: ECONNREFUSED)) { try RawClient(network) }
        let listener = try TestListener(in: network, port: 8081)
        try expectHandedOver(network)
        listener.kill()
        #expect(throws: RawClient.ConnectError(code: ECONNREFUSED)) { try RawClient(network) }
        let left = try apus.status().kernel?.leftToKernel ?? 0
        #expect(left >= 2, "both SYNs were the kernel's to refuse")
      }
    }

    @Test func `a client that is connected to the listener itself, from the same port, is handed over as well`() throws
    {
      try TestNetwork.withVeth { network in
        try network.client.set("ipv4/ip_local_port_range", to: "'40000 40000'")
        let listener = try TestListener(in: network, port: 8081)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        let direct = try RawClient(network, port: 8081)
        let client = try RawClient(network)
        #expect(direct.localPort == 40_000 && client.localPort == 40_000)
        #expect(try client.get("/small.html?query")["x-peer"] == network.clientAddress)
        #expect(try direct.get("/small.html?query")["x-peer"] == network.clientAddress)
        #expect(try apus.status().handovers == 1)
        listener.kill()
      }
    }

    /// Nobody listens on the address the client connects to, so the kernel has nobody to give a SYN to that meets a socket
    /// in TIME-WAIT; a client that is not helped sends its SYN again (TcpExtTCPSynRetrans).
    @Test(arguments: kinds)
    func `a client that uses a port again, which is in TIME-WAIT, does not wait`(_ one: Case) throws {
      try TestNetwork.withVeth { network in
        try network.client.set("ipv4/ip_local_port_range", to: "'40000 40000'")
        let listener = try TestListener(in: network, port: 8081, one.kind)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        for _ in 0..<5 {
          let client = try #require(try connectFromOnlyPort(network))
          try client.send("GET /small.html?query HTTP/1.1\r\nHost: apus.test\r\nConnection: close\r\n\r\n")
          let response = try client.readResponse()
          #expect(response.status == 200 && response["x-peer"] == network.clientAddress)
          #expect(try client.isClosedByServer())
        }
        let waiting = try network.server.run(["ss", "-tanH", "state", "time-wait", "dport", "=", ":40000"]).output
        #expect(!waiting.isEmpty, "the server has closed first")
        #expect(try repeatedSYNs(of: network.client) == 0)
        #expect(try apus.status().kernel?.leftToKernel ?? 0 > 0, "SYNs were left to the kernel")
        listener.kill()
      }
    }

    /// The client's last connection may have its port until the acknowledgement of its FIN has come.
    private func connectFromOnlyPort(_ network: TestNetwork) throws -> RawClient? {
      var client: RawClient?
      _ = try eventually {
        do { client = try RawClient(network) } catch let error as RawClient.ConnectError
          where error.code == EADDRNOTAVAIL
        {}
        return client != nil
      }
      return client
    }

    @Test func `without SYN cookies every connection is left to the kernel, and reaches the server behind`() throws {
      try TestNetwork.withVeth { network in
        let listener = try TestListener(in: network, port: 8081)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        try network.server.set("ipv4/tcp_syncookies", to: "0")
        #expect(eventually { apus.process.standardError.contains("tcp_syncookies is 0") })
        #expect(try RawClient(network).get("/small.html?query")["x-peer"] == network.clientAddress)
        #expect(try apus.status().handovers == 0)
        listener.kill()
      }
    }

    /// TcpExtTCPSynRetrans: /proc/net/netstat has a line of names, and below it one of numbers.
    private func repeatedSYNs(of namespace: NetworkNamespace) throws -> Int? {
      let lines = try namespace.run(["cat", "/proc/net/netstat"]).orThrow().output.split(separator: "\n")
        .filter { $0.hasPrefix("TcpExt:") }.map { $0.split(separator: " ") }
      guard lines.count == 2, let place = lines[0].firstIndex(of: "TCPSynRetrans") else { return nil }
      return Int(lines[1][place])
    }

    @Test func `a connection whose listener closes before the first request is reset`() throws {
      try TestNetwork.withVeth { network in
        let listener = try TestListener(in: network, port: 8081)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        let client = try RawClient(network)
        listener.kill()
        #expect(throws: (any Error).self) { try client.get("/small.html?query") }
        let status = try apus.status { $0.kernel?.drops?["noListener"] == 1 }
        #expect(status.kernel?.drops?["noListener"] == 1 && status.kernel?.connections == 0)
      }
    }

    @Test func `a full accept queue resets nobody: whoever waits is served when there is room`() throws {
      try TestNetwork.withVeth { network in
        let listener = try TestListener(in: network, port: 8081, .init { $0.backlog = 1 }, accepts: false)
        _ = try ApusProcess(in: network, root: Site.shared.root, backendPort: 8081)
        let clients = try (0..<8).map { _ in try RawClient(network) }
        for client in clients { try client.send("GET /small.html?query HTTP/1.1\r\nHost: apus.test\r\n\r\n") }
        pause(seconds: 0.5)
        listener.accept()
        for client in clients {
          let response = try client.readResponse()
          #expect(response.status == 200 && response["x-peer"] == network.clientAddress)
        }
      }
    }

    private func serve(_ network: TestNetwork, mode: String) throws -> ApusProcess {
      try ApusProcess(in: network, root: Site.shared.root, mode: mode, backendPort: 8081)
    }

    @Test func `a server behind that listens with MPTCP is named at the start, and served in user mode`() throws {
      try TestNetwork.withVeth { network in
        let listener = try TestListener(in: network, port: 8081, .init { $0.isMultipath = true })
        let refused = #expect(throws: SupportError.self) { try serve(network, mode: "kernel") }
        #expect(refused?.description.contains("apus: error: kernel mode is impossible") == true)
        #expect(refused?.description.contains("MPTCP") == true)

        let apus = try serve(network, mode: "auto")
        #expect(apus.readyLine.contains("user mode: the server at 10.77.0.1:8081 listens with MPTCP"))
        let response = try RawClient(network).get("/small.html?query")
        #expect(response.status == 200 && response["x-peer"] == network.serverAddress, "relayed")
        try apus.stop()
        listener.kill()
      }
    }

    @Test func `one that listens with MPTCP later gets no connection it would reset, and the log says why`() throws {
      try TestNetwork.withVeth { network in
        let plain = try TestListener(in: network, port: 8081)
        let apus = try serve(network, mode: "kernel")
        try expectHandedOver(network)
        plain.kill()
        let multipath = try TestListener(in: network, port: 8081, .init { $0.isMultipath = true })
        #expect(throws: RawClient.ConnectError(code: ECONNREFUSED)) { try RawClient(network) }
        #expect(eventually { apus.process.standardError.contains("MPTCP") })
        multipath.kill()
        _ = try TestListener(in: network, port: 8081)
        try expectHandedOver(network)
        #expect(try apus.status().kernel?.drops?["handoverRefused"] == 0)
      }
    }

    @Test func `doctor tells of listeners with MPTCP`() throws {
      try TestNetwork.withVeth { network in
        _ = try TestListener(in: network, port: 8081, .init { $0.isMultipath = true })
        let address = network.serverAddress
        func doctor(_ port: Int) throws -> String {
          try network.server.run(
            [ApusProcess.binary, "doctor", "--listen", "\(address):80", "--backend", "\(address):\(port)"]
          ).output
        }
        #expect(try doctor(8081).contains("warning  the server at 10.77.0.1:8081 listens with MPTCP"))
        #expect(try !doctor(8082).contains("MPTCP"))
      }
    }
  }
}
