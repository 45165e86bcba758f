import BPFKernel
import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// Which listener the kernel finds for a SYN that is left to it.
  @Suite struct ListenerLookups {
    /// Apus listens here, and the server behind at `Bench.server`.
    private static var front: Endpoint { .loopback(1, port: 80) }
    /// BPF_PROG_TEST_RUN lets no packet of a look-up come by another one.
    private static let interface: UInt32 = 0

    /// With a SYN that was left to the kernel: it offers smaller segments than the kernel takes over.
    private func bench(attachedTo interface: UInt32 = Self.interface) throws -> (bench: Bench, client: Endpoint) {
      let bench = try Bench()
      try bench.listen(on: Self.front, backend: Bench.server, flags: 0)
      for machine in bench.machines { try machine.setInterface(interface) }
      let client = bench.newClient()
      try bench.send(
        Packet.tcp(from: client, to: Self.front, .syn, sequence: 1).with {
          $0.options = [.segmentSize(Family.segmentSizeMin - 1)]
        }, .left)
      return (bench, client)
    }

    @Test("the listener behind, although it listens on another port") func behind() throws {
      let (bench, client) = try bench()
      #expect(try bench.isListenerAssigned(from: client, to: Self.front))
    }

    @Test("whatever the kernel finds, where Apus does not answer") func elsewhere() throws {
      let (bench, client) = try bench()
      let otherPort = Endpoint.loopback(1, port: 81)
      let otherAddress = Endpoint.loopback(2, port: 80)
      #expect(try !bench.isListenerAssigned(from: client, to: otherPort))
      #expect(try !bench.isListenerAssigned(from: client, to: otherAddress))
      let udp: UInt32 = 17
      #expect(try !bench.isListenerAssigned(from: client, to: Self.front, transport: udp))
      let (other, itsClient) = try self.bench(attachedTo: Self.interface + 1)
      #expect(try !other.isListenerAssigned(from: itsClient, to: Self.front))
    }

    @Test("the server's own, where it listens on the very address") func own() throws {
      let (bench, client) = try bench()
      try bench.listen(on: Self.front, backend: Bench.server, flags: Listener.ownAddress)
      #expect(try !bench.isListenerAssigned(from: client, to: Self.front))
    }

    @Test("none for a client that is not served") func refused() throws {
      let (bench, client) = try bench()
      try bench.listen(on: Self.front, backend: Bench.server, flags: Listener.onlyAllowed)
      #expect(try !bench.isListenerAssigned(from: client, to: Self.front))
      try bench.listAll(of: Family.current, isAllowed: true)
      #expect(try bench.isListenerAssigned(from: client, to: Self.front))
      try bench.listen(on: Self.front, backend: Bench.server, flags: Listener.notDenied)
      try bench.listAll(of: Family.current, isAllowed: false)
      #expect(try !bench.isListenerAssigned(from: client, to: Self.front))
    }
  }
}

extension Bench {
  /// Asks both machines, which must agree, for the listener of a connection.
  ///
  /// - Parameter transport: TCP's number is 6.
  fileprivate func isListenerAssigned(
    from client: Endpoint, to local: Endpoint, transport: UInt32 = 6
  ) throws -> Bool {
    var lookup = [UInt8](repeating: 0, count: SocketLookup.byteCount)
    func put(_ word: UInt32, _ offset: Int) {
      lookup.withUnsafeMutableBytes { $0.storeBytes(of: word, toByteOffset: offset, as: UInt32.self) }
    }
    put(local.isIPv6 ? 10 : 2, 8)
    put(transport, 12)
    lookup.replaceSubrange(
      local.isIPv6 ? 20..<36 : 16..<20, with: client.addressBytes)
    put(UInt32(client.port.bigEndian), 36)
    lookup.replaceSubrange(local.isIPv6 ? 44..<60 : 40..<44, with: local.addressBytes)
    put(UInt32(local.port), 60)
    let outcomes = try machines.map { try $0.run(lookup: lookup) }
    #expect(outcomes.allSatisfy { $0.verdict == SocketLookup.pass })
    #expect(Set(outcomes.map(\.isAssigned)).count == 1, "the machines agree: \(outcomes)")
    return outcomes[0].isAssigned
  }
}
