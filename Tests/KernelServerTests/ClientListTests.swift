import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// Who is kept out before a handshake.
  @Suite struct ClientLists {
    private static let network: UInt32 = 0xc000_0200

    private func expect(
      _ bench: Bench, _ address: UInt32, isServed: Bool, _ location: SourceLocation = #_sourceLocation
    ) throws {
      let packet = Packet.tcp(from: Endpoint(address, 40_000), to: Bench.server, .syn, sequence: 1)
      let check = isServed ? Check.synAck(segmentSize: nil, acknowledging: 2) : .dropped(.clientRefused)
      try bench.send(packet, check, sourceLocation: location)
    }

    @Test("without a flag the lists do not count")
    func noFlag() throws {
      let bench = try Bench()
      try bench.list(0, length: 0, isAllowed: false)
      try expect(bench, Self.network, isServed: true)
    }

    @Test("a denied prefix is kept out, to the bit", arguments: [1, 7, 8, 9, 23, 24, 25, 31, 32] as [UInt32])
    func denied(length: UInt32) throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.notDenied)
      let mask = ~UInt32(0) << (32 - length)
      let prefix = (Self.network | 0x5a) & mask
      try bench.list(prefix, length: length, isAllowed: false)
      try expect(bench, prefix, isServed: false)
      try expect(bench, prefix | ~mask, isServed: false)
      try expect(bench, prefix ^ (1 << (32 - length)), isServed: true)
    }

    @Test("a prefix of the other family is none of this one, be it of no bits")
    func otherFamily() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.notDenied)
      let other = Family.current == .ipv4 ? Family.ipv6 : .ipv4
      try bench.listAll(of: other, isAllowed: false)
      try expect(bench, Self.network, isServed: true)
      try bench.listAll(of: Family.current, isAllowed: false)
      try expect(bench, Self.network, isServed: false)
    }

    @Test("only what is allowed is served")
    func allowed() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.onlyAllowed)
      try expect(bench, Self.network, isServed: false)
      try bench.list(Self.network, length: 24, isAllowed: true)
      try bench.list(0x0a00_0000, length: 8, isAllowed: true)
      try expect(bench, Self.network | 255, isServed: true)
      try expect(bench, 0x0aff_ffff, isServed: true)
      try expect(bench, Self.network + 256, isServed: false)
    }

    @Test("what is denied stays denied though a longer prefix is allowed, and a drain does not let it in")
    func both() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.ownAddress | Listener.onlyAllowed | Listener.notDenied)
      try bench.list(Self.network, length: 24, isAllowed: false)
      try bench.list(Self.network | 7, length: 32, isAllowed: true)
      try expect(bench, Self.network | 7, isServed: false)
      try bench.list(0, length: 0, isAllowed: true)
      try expect(bench, Self.network + 256, isServed: true)
      bench.control.draining = 1
      try expect(bench, Self.network | 7, isServed: false)
    }
  }
}
