import Contract
import KernelSockets
import KernelTestSupport
import Testing

/// All tests of the program. They run one after the other: there is one simulated and one real kernel.
@Suite(.serialized, .bothFamilies) enum KernelPart {}

extension KernelPart {
  @Suite struct Handshakes {
    private func syn(_ client: Client, _ options: [TCPOptionBytes] = [.segmentSize(1460)]) -> Packet {
      client.segment(.syn, acknowledgement: 0, options: options)
    }

    @Test("a SYN is answered with the cookie and the MSS it offered, and nothing is stored")
    func cookie() throws {
      let bench = try Bench()
      for size: UInt16 in [Family.segmentSizeMin, 1220, 1439, 1440, 1459, 1460, 1461, 8940, 8960, 65_476] {
        let client = Client(bench)
        let outcome = try bench.send(
          syn(client, TCPOptionBytes.linux(size)), .synAck(segmentSize: size, acknowledging: client.next &+ 1))
        #expect(outcome.reply?.sequence == bench.cookie(client.local, start: client.next, size: size))
        #expect(outcome.reply?.destinationMAC == [2, 0, 0, 0, 0, 9] && outcome.reply?.sourceMAC == [0, 0, 0, 0, 0, 0])
        #expect(bench.connection(client.flow) == nil)
      }
    }

    @Test("a SYN that comes again is answered with two SYN-ACKs, the next client's with one")
    func repeated() throws {
      let bench = try Bench()
      let (client, other) = (Client(bench), Client(bench))
      for (sender, isRepeated) in [(client, false), (client, true), (other, false), (client, true), (other, true)] {
        let outcome = try bench.send(
          syn(sender), .synAck(segmentSize: 1460, acknowledging: sender.next &+ 1, isRepeated: isRepeated))
        #expect(outcome.sent.count == (isRepeated ? 1 : 0))
        #expect(outcome.sent.allSatisfy { $0.sequence == outcome.reply?.sequence && $0.flags == [.syn, .ack] })
      }
    }

    @Test("no segment is larger than the device's MTU has room for, whatever is offered")
    func deviceLimit() throws {
      let bench = try Bench()
      let client = Client(bench)
      try bench.send(
        syn(client, TCPOptionBytes.linux(65_535)),
        .synAck(segmentSize: Family.segmentSizeMax, acknowledging: client.next &+ 1))
    }

    @Test("a SYN without MSS gets no option; it is taken for the smallest")
    func noSegmentSize() throws {
      let bench = try Bench()
      for options in [[], [.selectiveAcknowledgement, .windowScale(2)]] as [[TCPOptionBytes]] {
        let client = Client(bench)
        let outcome = try bench.send(
          syn(client, options), .synAck(segmentSize: nil, acknowledging: client.next &+ 1))
        #expect(outcome.reply?.sequence == bench.cookie(client.local, start: client.next, size: Family.segmentSizeMin))
      }
    }

    @Test("a SYN that offers less than the kernel takes over is the kernel's")
    func tinySegments() throws {
      let bench = try Bench()
      try bench.send(syn(Client(bench), [.segmentSize(Family.segmentSizeMin - 1)]), .left)
    }

    @Test("ECN, data and urgency in a SYN are not taken up")
    func decoratedSyn() throws {
      let bench = try Bench()
      let decorations: [(inout Packet) -> Void] = [
        { $0.flags = [.syn, .ece, .cwr] }, { $0.payload = get("/") },
        { $0.payload = [UInt8](repeating: 1, count: 2100) }, { $0.flags = [.syn, .urg, .psh] },
      ]
      for decorate in decorations {
        let client = Client(bench)
        try bench.send(
          syn(client).with(decorate), .synAck(segmentSize: 1460, acknowledging: client.next &+ 1))
      }
    }

    @Test("a SYN with a wrong checksum is dropped")
    func wrongChecksum() throws {
      let bench = try Bench()
      for options in [[], [.segmentSize(1460)], TCPOptionBytes.linux(1460)] as [[TCPOptionBytes]] {
        let packet = syn(Client(bench), options).with { $0.tcpChecksumError = 1 }
        try bench.send(packet, .dropped(.checksum))
      }
    }

    @Test("with the other key in use the cookie says so, and stays valid when the keys change places")
    func keys() throws {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      bench.control.cookieKeySlot = 1
      var client = Client(bench)
      try client.connect()
      #expect((client.received &- 1) >> 31 == 1)
      bench.control.cookieKeySlot = 0
      try client.get(get("/"), StoredObject.page("/", "x").response(VariantIndex.persistent11))
    }

    @Test("a cookie whose key is gone is the kernel's to refuse")
    func oldKey() throws {
      let bench = try Bench()
      var client = Client(bench)
      try client.connect()
      bench.control.cookieKey0 = (7, 7)
      let outcome = try bench.send(client.request(get("/")))
      // One cookie in 2048 has the same flow tag under another key: then it is dropped.
      #expect(outcome.verdict == Outcome.next || outcome.counted["drop: outOfOrder"] == 1)
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("where nobody listens behind, a SYN is the kernel's to refuse")
    func nobodyListens() throws {
      let bench = try Bench()
      let other = Endpoint.loopback(1, port: 8081)
      try bench.listen(on: other)
      let packet = Packet.tcp(from: bench.newClient(), to: other, .syn, sequence: 1)
      try bench.send(packet, .left)
      try bench.listen(on: other, backend: .loopback(1, port: 8082), flags: 0)
      try bench.send(packet, .left)
    }

    @Test("a listener on another port stands behind as well")
    func otherPort() throws {
      let bench = try Bench()
      let front = Endpoint.loopback(1, port: 80)
      try bench.listen(on: front, backend: Bench.server, flags: 0)
      // Also while we cannot answer: the connection will be handed over.
      for age_ns: UInt64 in [0, 5_000_000_000] {
        bench.heartbeatAge_ns = age_ns
        let packet = Packet.tcp(from: bench.newClient(), to: front, .syn, sequence: 1)
        try bench.send(packet, .synAck(segmentSize: nil, acknowledging: 2))
      }
    }

    @Test("while the heartbeat is old or the server drains, a SYN is the listener's")
    func staleOrDraining() throws {
      let bench = try Bench()
      bench.heartbeatAge_ns = 5_000_000_000
      try bench.send(syn(Client(bench)), .left)
      bench.heartbeatAge_ns = 0
      bench.control.draining = 1
      try bench.send(syn(Client(bench)), .left)
    }

    @Test("a SYN for a connection the kernel has is the kernel's")
    func existingSocket() throws {
      let bench = try Bench()
      let client = Client(bench)
      try bench.openSocket(from: client.local)
      try bench.send(syn(client), .left)
    }
  }

  @Suite struct OtherPackets {
    private func check(_ change: (inout Packet) -> Void, _ location: SourceLocation = #_sourceLocation) throws {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      var client = Client(bench)
      try client.connect()
      try bench.send(client.request(get("/")).with(change), .notOurs, sourceLocation: location)
      try bench.send(client.segment(.syn).with(change), .notOurs, sourceLocation: location)
    }

    @Test("fragments") func fragments() throws {
      try check { $0.fragment = 0x2000 }
      try check { $0.fragment = 0x0010 }
    }
    @Test("IP options, or an extension header") func ipOptions() throws { try check { $0.ipOptions = [1, 1, 1, 0] } }
    @Test("an IPv6 packet with an IPv4-mapped address is none of the IPv4 connection that has it")
    func mappedAddresses() throws {
      if Family.current == .ipv6 { return }
      let network: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
      try check {
        $0.source.network = network
        $0.destination.network = network
      }
      try check {
        $0.source.network = Endpoint.testNetwork
        $0.destination.network = network
      }
    }

    @Test("other protocols") func otherProtocols() throws {
      try check { $0.proto = 17 }
      try check { $0.etherType = 0x88b5 }
    }
    @Test("other ports and addresses") func otherPort() throws {
      try check { $0.destination.port = 8081 }
      try check { $0.destination.address += 1 }
    }
    @Test("packets to others, to all, to many") func otherTypes() throws {
      try check { $0.destinationMAC = [2, 0, 0, 0, 0, 1] }
      try check { $0.destinationMAC = [255, 255, 255, 255, 255, 255] }
      try check { $0.destinationMAC = [1, 0, 0x5e, 0, 0, 1] }
    }
    @Test("a wrong IP checksum") func ipChecksum() throws {
      // IPv6 has none.
      if Family.current == .ipv4 { try check { $0.ipChecksumError = 1 } }
    }
    @Test("lengths that are not the packet's") func lengths() throws {
      try check { $0.totalLengthError = 1 }
      try check { $0.totalLengthError = -1000 }
    }

    @Test("a frame that is cut anywhere, or of no length, harms nobody")
    func cutFrames() throws {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      var client = Client(bench)
      try client.connect()
      let whole = client.request(get("/")).bytes
      // The real kernel takes no frame for a test that ends in its network header.
      for length in (Family.current == .ipv6 ? 54 : 34)..<whole.count {
        let outcome = try bench.send(bytes: Array(whole[..<length]), flow: client.flow)
        #expect(outcome.verdict == Outcome.next && outcome.isUntouched, "\(length)")
      }
    }

    @Test("padding behind the datagram does not count")
    func padding() throws {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      var client = Client(bench)
      try client.connect()
      let response = StoredObject.page("/", "x").response(VariantIndex.persistent11)
      try bench.send(
        client.request(get("/")).with { $0.padding = [1, 2, 3, 4, 5] },
        .response(response, sequence: client.received, acknowledging: client.next &+ UInt32(get("/").count)))
    }
  }
}
