import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// Where the routing table sends what goes back to a client. Packets of these tests come in on interface 1.
  @Suite struct Routes {
    private static let client: UInt32 = 0xc000_0207
    private static var otherPort: Endpoint { .loopback(1, port: 80) }

    private func syn(to server: Endpoint = Bench.server, port: UInt16 = 40_000) -> Packet {
      .tcp(from: Endpoint(Self.client, port), to: server, .syn, sequence: 1)
    }
    private var leftForRoute: Check {
      Check(name: "left for its route") { $0.verdict == Outcome.next && $0.isUntouched }
        .and(.counts("leftToKernel", "leftForRoute"))
    }

    @Test("a SYN whose answer leaves by the same interface is answered, any other is the listener's")
    func sameInterface() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.checksRoute)
      try bench.send(syn(), leftForRoute)
      try bench.route(0, length: 0, by: 1)
      try bench.send(syn(port: 50_001), .synAck(segmentSize: nil, acknowledging: 2))
      try bench.route(0xc000_0200, length: 24, by: 7)
      try bench.send(syn(), leftForRoute)
      try bench.route(Self.client, length: 32, by: 1)
      try bench.send(syn(port: 50_002), .synAck(segmentSize: nil, acknowledging: 2))
      // By whichever it came in on, as to a link-local address.
      try bench.route(Self.client, length: 32, by: RouteKey.sameInterface)
      try bench.send(syn(port: 50_003), .synAck(segmentSize: nil, acknowledging: 2))
      // Not always the same.
      try bench.route(Self.client, length: 32, by: 0)
      try bench.send(syn(), leftForRoute)
    }

    @Test("a route counts for the local address it was made for")
    func localAddress() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.checksRoute)
      try bench.route(0, length: 0, by: 1, local: Bench.server.address + 1)
      try bench.send(syn(), leftForRoute)
    }

    @Test("where nobody else listens a SYN is answered by the route, and the first request handed over")
    func serverBehind() throws {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      try bench.listen(on: Self.otherPort, backend: Bench.server, flags: Listener.checksRoute)
      for interface: UInt32 in [0, 7] {
        try bench.route(0, length: 0, by: interface)
        let from = Endpoint(Self.client, 41_000 + UInt16(interface))
        let outcome = try bench.send(
          syn(to: Self.otherPort, port: from.port), .synAck(segmentSize: nil, acknowledging: 2))
        let way = bench.simulatedKernel.kernel.redirection
        #expect(way.interfaceIndex == (interface == 0 ? 1 : 7) && way.isToNeighbour == (interface != 0))
        let cookie = try #require(outcome.reply?.sequence)
        try bench.send(
          .tcp(
            from: from, to: Self.otherPort, [.psh, .ack], sequence: 2, acknowledgement: cookie &+ 1, payload: get("/")),
          .handedOver(.route))
      }
    }

    @Test("a listener of MPTCP takes nothing over, so it gets its SYNs itself")
    func multipath() throws {
      let bench = try Bench()
      let multipath = Endpoint.loopback(1, port: 8090)
      try bench.listenMultipath(on: multipath.port)
      try bench.listen(on: multipath, backend: multipath)
      try bench.send(syn(to: multipath), .left)
      // Behind another port it cannot be reached.
      try bench.listen(on: Self.otherPort, backend: multipath, flags: 0)
      try bench.send(syn(to: Self.otherPort), .left)
    }
  }
}
