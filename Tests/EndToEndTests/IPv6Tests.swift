import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Everything once over IPv6, and what only IPv6 has.
  @Suite(.kernelMode) struct OverIPv6 {
    /// Hits by the kernel part of what `body` does.
    private func hits(_ apus: ApusProcess, _ body: () throws -> Void) throws -> Int {
      let before = try apus.status().hits
      try body()
      return try apus.status().hits - before
    }

    @Test func `hits, 304s and hand-overs on one connection`() throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          #expect(
            bench.apus.readyLine.hasSuffix(" on http://[fd00:a905::a4d:1]:80 (kernel mode: lo, eth0)"),
            "\(bench.apus.readyLine)")
          let client = try bench.connect()
          let count = try hits(bench.apus) {
            let response = try client.get(Site.small)
            expectFile(response, Site.small)
            let tag = try #require(response["etag"])
            #expect(try client.get(Site.small, fields: "If-None-Match: \(tag)\r\n").status == 304)
          }
          #expect(count == 2)
          let before = try bench.apus.status().handovers
          for path in [Site.large, Site.small] { expectFile(try client.get(path), path) }
          #expect(try bench.apus.status().handovers == before + 1)
        }
      }
    }

    @Test func `load without a failure`() throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          let count = try hits(bench.apus) {
            let load = try network.client.wrk(bench.origin() + Site.small, connections: 16, duration_s: 1)
            #expect(load.requests > 1000 && load.failures == 0, "\(load.output)")
          }
          #expect(count > 1000)
        }
      }
    }

    @Test(arguments: [1280, 1500, 9000])
    func `answers of several segments at any MTU`(mtu: Int) throws {
      let directory = try ScratchDirectory("mtu")
      let body = (0..<9000).map { UInt8(ascii: "a") + UInt8($0 % 23) }
      try directory.write(body, to: "page.html")
      pause(seconds: 0.5)
      try TestNetwork.withVeth(ipv6: true) { network in
        for namespace in [network.client, network.server] {
          try namespace.ip("link", "set", "eth0", "mtu", "\(mtu)")
        }
        let apus = try ApusProcess(in: network, root: directory.path)
        try apus.warm(["/page.html"], over: network)
        let count = try hits(apus) {
          let client = try RawClient(network)
          for _ in 0..<3 {
            let isSame = try client.get("/page.html").body == body
            #expect(isSame)
          }
        }
        #expect(count == 3)
      }
    }

    @Test func `an nginx behind sees the client's own address`() throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        try Bench.kernel(on: network, backend: true, warm: [Site.small]) { bench in
          let before = try bench.clientLog().count
          let client = try bench.connect()
          let count = try hits(bench.apus) { expectFile(try client.get(Site.small), Site.small) }
          #expect(count == 1)
          expectFile(try client.get(Site.large), Site.large)
          let log = try bench.clientLog().dropFirst(before)
          #expect(log.map(\.target) == [Site.large], "\(log)")
        }
      }
    }

    @Test func `attached to an nginx, whose answers are learned by packets the kernel part leaves alone`() throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        let nginx = try NginxServer(in: network, port: 80, root: Site.shared.root)
        let apus = try ApusProcess(in: network, attachedTo: 80, arguments: ["--root", Site.shared.root])
        #expect(apus.readyLine == "apus: attached to [fd00:a905::a4d:1]:80 (kernel mode: lo, eth0)")
        try apus.warm([Site.small], over: network)
        let client = try RawClient(network)
        let count = try hits(apus) { expectFile(try client.get(Site.small), Site.small) }
        #expect(count == 1)
        expectFile(try client.get(Site.large), Site.large)
        #expect(try nginx.log().last?.remoteAddress == network.clientAddress)
      }
    }

    // MARK: Both families

    /// At `[::]:80`, with nothing else on the command line that has an address.
    private func withBothFamilies(
      mode: String = "kernel", _ arguments: [String] = [], _ body: (TestNetwork, ApusProcess) throws -> Void
    ) throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        try TestNetwork.with(
          client: network.client, server: network.server, serverAddress: "::", clientAddress: network.clientAddress
        ) { everywhere in
          let apus = try ApusProcess(in: everywhere, root: Site.shared.root, mode: mode, arguments: arguments)
          try body(network, apus)
          apus.kill()
        }
      }
    }

    private static let addresses = ["10.77.0.1", "fd00:a905::a4d:1"]

    @Test func `all addresses are those of IPv4 as well`() throws {
      try withBothFamilies { network, apus in
        try apus.warm([Site.small], over: network)
        for address in Self.addresses {
          let client = try RawClient(from: network.client, to: address, port: 80)
          let count = try hits(apus) { expectFile(try client.get(Site.small), Site.small) }
          #expect(count == 1, "\(address)")
          expectFile(try client.get(Site.large), Site.large)
        }
        for address in ["127.0.0.1", "::1"] {
          let count = try hits(apus) {
            expectFile(try RawClient(from: network.server, to: address, port: 80).get(Site.small), Site.small)
          }
          #expect(count == 1, "\(address)")
        }
      }
    }

    @Test(arguments: ["0", "1"])
    func `in user mode too, whatever bindv6only says`(setting: String) throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        try network.server.set("ipv6/bindv6only", to: setting)
        try TestNetwork.with(
          client: network.client, server: network.server, serverAddress: "::", clientAddress: network.clientAddress
        ) { everywhere in
          let apus = try ApusProcess(
            in: everywhere, root: Site.shared.root, mode: "user", arguments: ["--deny", "10.77.0.3/32"])
          for address in Self.addresses {
            expectFile(try RawClient(from: network.client, to: address, port: 80).get(Site.small), Site.small)
          }
          // The denied client's address is IPv4-mapped to such a socket.
          try network.client.ip("address", "add", "10.77.0.3/32", "dev", "eth0")
          let refused = try network.client.run(
            ["curl", "-s", "--interface", "10.77.0.3", "--max-time", "3", "http://10.77.0.1\(Site.small)"])
          #expect(refused.termination != .exited(0))
          apus.kill()
        }
      }
    }

    @Test func `a client on the link is answered by its link-local address`() throws {
      try withBothFamilies { network, apus in
        try network.server.ip("address", "add", "fe80::a4d:1/64", "dev", "eth0", "nodad")
        try network.client.ip("address", "add", "fe80::a4d:2/64", "dev", "eth0", "nodad")
        // Addresses and routes are looked at once a second.
        pause(seconds: 2.5)
        try apus.warm([Site.small], over: network)
        let count = try hits(apus) {
          let command = ["curl", "-s", "--fail", "--max-time", "5", "http://[fe80::a4d:1%25eth0]\(Site.small)"]
          let result = try network.client.run(command).orThrow()
          let isSame = Array(result.output.utf8) == Site.shared.body(Site.small)
          #expect(isSame)
        }
        #expect(count == 1)
      }
    }

    @Test func `clients of a denied prefix are kept out, and no others`() throws {
      try withBothFamilies(["--deny", "fd00:a905::a4d:2/127"]) { network, apus in
        #expect(throws: (any Error).self) {
          try RawClient(from: network.client, to: "fd00:a905::a4d:1", port: 80, timeout_s: 0.5)
        }
        #expect(try apus.status().kernel?.drops?["clientRefused"] ?? 0 > 0)
        expectFile(try RawClient(from: network.client, to: "10.77.0.1", port: 80).get(Site.small), Site.small)
      }
      try withBothFamilies(["--deny", "::/0"]) { network, _ in
        expectFile(try RawClient(from: network.client, to: "10.77.0.1", port: 80).get(Site.small), Site.small)
        #expect(throws: (any Error).self) {
          try RawClient(from: network.client, to: "fd00:a905::a4d:1", port: 80, timeout_s: 0.5)
        }
      }
    }

    @Test func `a client whose way back is another interface is left to the kernel`() throws {
      try withBothFamilies { network, apus in
        _ = try VethPair((network.server, "eth9", "10.79.0.1/24"), (network.client, "eth9", "10.79.0.2/24"))
        try network.server.ip("route", "add", "fd00:a905::a4d:2/128", "dev", "eth9")
        pause(seconds: 2.5)
        #expect(throws: (any Error).self) {
          try RawClient(from: network.client, to: "fd00:a905::a4d:1", port: 80, timeout_s: 0.5)
        }
        #expect(try apus.status().kernel?.leftForRoute ?? 0 > 0)
      }
    }

    @Test func `a server behind takes over only what is of its family, so both are named`() throws {
      try TestNetwork.withVeth(ipv6: true) { network in
        let nginx = try NginxServer(
          in: network, port: 8081, root: Site.shared.root, serverLines: "listen 10.77.0.1:8081;")
        let command = [ApusProcess.binary, "serve", Site.shared.root, "--listen", "[::]:80", "--mode", "kernel"]
        let six = ["--backend", "[fd00:a905::a4d:1]:8081"]
        let result = try network.server.run(command + six)
        #expect(result.termination == .exited(1))
        #expect(
          result.error.contains("IPv4 connections to [::]:80 cannot be handed over to [fd00:a905::a4d:1]:8081"),
          "\(result.error)")
        try TestNetwork.with(
          client: network.client, server: network.server, serverAddress: "::", clientAddress: network.clientAddress
        ) { everywhere in
          let apus = try ApusProcess(
            in: everywhere, root: Site.shared.root, arguments: six + ["--backend", "10.77.0.1:8081"])
          try apus.warm([Site.small], over: network)
          for address in Self.addresses {
            let client = try RawClient(from: network.client, to: address, port: 80)
            let count = try hits(apus) { expectFile(try client.get(Site.small), Site.small) }
            #expect(count == 1, "\(address)")
            expectFile(try client.get(Site.large), Site.large)
            #expect(
              try nginx.log().last?.remoteAddress == (address.contains(":") ? network.clientAddress : "10.77.0.2"))
          }
          apus.kill()
        }
      }
    }
  }
}
