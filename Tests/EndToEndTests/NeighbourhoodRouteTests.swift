import Glibc
import TestSupport
import Testing

extension EndToEnd {
  /// Bridges, routers and containers on the way, and the way back.
  @Suite(.kernelMode) struct Ways {
    private func isHit(_ bench: Bench, _ location: SourceLocation = #_sourceLocation) throws -> Bool {
      let before = try bench.apus.status().hits
      expectFile(try RawClient(bench.network, timeout_s: 3).get(Site.small), Site.small, sourceLocation: location)
      return try bench.apus.status().hits == before + 1
    }

    private func expectHitsAndMisses(_ bench: Bench, _ location: SourceLocation = #_sourceLocation) throws {
      #expect(try isHit(bench), sourceLocation: location)
      let client = try bench.connect()
      for path in [Site.small, Site.large, Site.small] {
        expectFile(try client.get(path), path, sourceLocation: location)
      }
    }

    @Test func `a bridge between client and server makes no difference`() throws {
      let (client, bridge, server) = try (
        NetworkNamespace("client"), NetworkNamespace("bridge"), NetworkNamespace("server")
      )
      _ = try VethPair((server, "eth0", "10.77.0.1/24"), (bridge, "one", "169.254.0.1/32"))
      _ = try VethPair((client, "eth0", "10.77.0.2/24"), (bridge, "two", "169.254.0.2/32"))
      try bridge.ip("link", "add", "br0", "type", "bridge")
      for device in ["one", "two"] { try bridge.ip("link", "set", device, "master", "br0") }
      try bridge.ip("link", "set", "br0", "up")
      try TestNetwork.with(
        client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.77.0.2", between: [bridge]
      ) { network in
        try Bench.kernel(on: network, warm: [Site.small]) { try expectHitsAndMisses($0) }
      }
    }

    @Test func `Apus serves at a bridge of its own host`() throws {
      let (client, server) = try (NetworkNamespace("client"), NetworkNamespace("server"))
      _ = try VethPair((server, "one", "169.254.0.1/32"), (client, "eth0", "10.77.0.2/24"))
      try server.ip("link", "add", "br0", "type", "bridge")
      try server.ip("link", "set", "one", "master", "br0")
      try server.ip("address", "add", "10.77.0.1/24", "dev", "br0")
      try server.ip("link", "set", "br0", "up")
      try TestNetwork.with(
        client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.77.0.2"
      ) { network in
        try Bench.kernel(on: network, warm: [Site.small]) { try expectHitsAndMisses($0) }
      }
    }

    /// client (10.77.1.2) - router (10.77.1.254, 10.77.0.254) - server (10.77.0.1)
    private func withRouter(_ body: (TestNetwork, _ router: NetworkNamespace) throws -> Void) throws {
      let (client, router, server) = try (
        NetworkNamespace("client"), NetworkNamespace("router"), NetworkNamespace("server")
      )
      _ = try VethPair((server, "eth0", "10.77.0.1/24"), (router, "eth0", "10.77.0.254/24"))
      _ = try VethPair((client, "eth0", "10.77.1.2/24"), (router, "eth1", "10.77.1.254/24"))
      try server.ip("route", "add", "default", "via", "10.77.0.254")
      try client.ip("route", "add", "default", "via", "10.77.1.254")
      try router.set("ipv4/ip_forward", to: "1")
      try TestNetwork.with(
        client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.77.1.2", between: [router]
      ) { try body($0, router) }
    }

    @Test func `in a container behind a router's DNAT`() throws {
      try withRouter { network, router in
        let rules = """
          add table ip nat
          add chain ip nat prerouting { type nat hook prerouting priority -100; }
          add rule ip nat prerouting ip daddr 10.77.1.254 tcp dport 8080 dnat to 10.77.0.1:80
          """
        try router.run(["nft", rules]).orThrow()
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          let before = try bench.apus.status().hits
          let client = try RawClient(from: network.client, to: "10.77.1.254", port: 8080)
          expectFile(try client.get(Site.small), Site.small)
          #expect(try bench.apus.status().hits == before + 1)
          expectFile(try client.get(Site.large), Site.large)
        }
      }
    }

    @Test func `a router that runs Apus forwards what is for others`() throws {
      try withRouter { network, router in
        // nginx on the server behind; Apus on the router, at all of its addresses.
        let nginx = try NginxServer(in: network, root: Site.shared.root)
        try TestNetwork.with(
          client: network.client, server: router, serverAddress: "10.77.1.254", clientAddress: "10.77.1.2"
        ) { own in
          let apus = try ApusProcess(in: own, root: Site.shared.root, arguments: ["--listen", "0.0.0.0:8080"])
          try apus.warm([Site.small], over: own)
          let before = try apus.status()
          #expect(before.interfaces.contains("eth0") && before.interfaces.contains("eth1"))
          for _ in 0..<5 {
            let response = try RawClient(network).get(Site.small)
            #expect(response.status == 200 && response["server"]?.hasPrefix("nginx") == true)
          }
          #expect(try nginx.log().count >= 5)
          let after = try apus.status()
          #expect(after.hits == before.hits && after.kernel?.leftToKernel == before.kernel?.leftToKernel)
          _ = try RawClient(own).get(Site.small)
          #expect(try apus.status().hits == before.hits + 1)
        }
      }
    }

    /// Client and server joined by two pairs. The client's address 10.99.0.2 is on neither; it sends by eth0, and what
    /// comes back to it by eth0 it refuses.
    private func withTwoWays(_ body: (TestNetwork) throws -> Void) throws {
      let (client, server) = try (NetworkNamespace("client"), NetworkNamespace("server"))
      _ = try VethPair((server, "eth0", "10.77.0.1/24"), (client, "eth0", "10.77.0.2/24"))
      _ = try VethPair((server, "eth1", "10.78.0.1/24"), (client, "eth1", "10.78.0.2/24"))
      for namespace in [client, server] {
        for device in ["all", "eth0", "eth1"] { try namespace.set("ipv4/conf/\(device)/rp_filter", to: "0") }
      }
      try client.ip("address", "add", "10.99.0.2/32", "dev", "lo")
      try client.ip("route", "replace", "10.77.0.0/24", "dev", "eth0", "src", "10.99.0.2")
      try server.ip("route", "add", "10.99.0.2", "via", "10.78.0.2")
      let rules = """
        add table ip way
        add chain ip way input { type filter hook input priority 0; }
        add rule ip way input iifname eth0 ip daddr 10.99.0.2 drop
        """
      try client.run(["nft", rules]).orThrow()
      try TestNetwork.with(
        client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.99.0.2", body)
    }

    @Test(arguments: ["0", "1"])
    func `a client whose way back is another interface is the user half's, until the route changes`(
      forwarding: String
    ) throws {
      try withTwoWays { network in
        try network.server.set("ipv4/ip_forward", to: forwarding)
        let apus = try ApusProcess(in: network, root: Site.shared.root)
        let bench = Bench(network: network, apus: apus, nginx: nil, port: 80)
        for _ in 0..<3 {
          let isHit = try isHit(bench)
          #expect(!isHit)
        }
        #expect(try apus.status().kernel?.leftForRoute == 3)

        try network.client.run(["nft", "delete", "table", "ip", "way"]).orThrow()
        try network.server.ip("route", "replace", "10.99.0.2", "via", "10.77.0.2")
        pause(seconds: 1.5)
        try apus.warm([Site.small], over: network)
        try expectHitsAndMisses(bench)
        #expect(try apus.status().kernel?.leftForRoute == 3)
      }
    }

    @Test func `with a server behind such a client's connections are handed over, its SYN-ACKs routed`() throws {
      try withTwoWays { network in
        let nginx = try NginxServer(in: network, port: 8081, root: Site.shared.root)
        let apus = try ApusProcess(in: network, root: Site.shared.root, backendPort: nginx.port)
        for _ in 0..<3 {
          let client = try RawClient(network, timeout_s: 3)
          expectFile(try client.get(Site.small), Site.small)
          expectFile(try client.get(Site.large), Site.large)
        }
        let status = try apus.status()
        #expect(status.hits == 0 && status.handovers("route") == 3)
      }
    }

    @Test func `a rule by source address decides as it does for the kernel`() throws {
      try withTwoWays { network in
        // By the main table it is eth1, but what is from 10.77.0.1 goes by eth0.
        try network.client.run(["nft", "delete", "table", "ip", "way"]).orThrow()
        try network.server.ip("rule", "add", "from", "10.77.0.1", "lookup", "100")
        try network.server.ip("route", "add", "default", "via", "10.77.0.2", "table", "100")
        try Bench.kernel(on: network, warm: [Site.small]) { try expectHitsAndMisses($0) }
      }
    }
  }
}
