import TestSupport

/// Client and server with a ``Relay`` between them instead of a cable.
enum RelayedNetwork {
  static func use(_ body: (TestNetwork, Relay) throws -> Void) throws {
    try TestNetwork.withVeth { network in
      // Either end takes the other along.
      try network.client.ip("link", "delete", "eth0")
      let between = try NetworkNamespace("relay")
      _ = try VethPair(
        (network.server, "eth0", "\(network.serverAddress)/24"), (between, "right", "169.254.9.1/32"))
      _ = try VethPair((network.client, "eth0", "\(network.clientAddress)/24"), (between, "left", "169.254.9.2/32"))
      // Checksums are computed by who sends, so that a corrupted packet has a wrong one; no packet is longer than the
      // devices' MTU.
      let offloads = ["tx", "tso", "gso", "gro"].flatMap { [$0, "off"] }
      for (namespace, device) in [
        (network.client, "eth0"), (network.server, "eth0"), (between, "left"), (between, "right"),
      ] {
        try namespace.run(["ethtool", "-K", device] + offloads).orThrow()
      }
      let relay = try Relay(in: between, between: "left", and: "right")
      defer { relay.shutDown() }
      try body(network, relay)
    }
  }
}
