import Contract
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  /// Connections with timestamps, window scale and SACK (RFC 7323, RFC 2018).
  @Suite struct Timestamps {
    private static let all =
      HandshakeOptions.cookies | HandshakeOptions.timestamps | HandshakeOptions.sack | HandshakeOptions.windowScale

    private func bench(allowing options: UInt32 = all) throws -> Bench {
      let bench = try Bench()
      bench.control.handshakeOptions = options
      bench.store(.page("/", "x"))
      return bench
    }

    /// A client past its handshake, and the timestamp it was sent.
    private func connected(
      _ bench: Bench, _ options: [TCPOptionBytes] = TCPOptionBytes.linux(1460)
    ) throws -> (Client, UInt32) {
      var client = Client(bench)
      let outcome = try bench.send(client.segment(.syn, acknowledgement: 0, options: options))
      let reply = try #require(outcome.reply)
      #expect(reply.faults.isEmpty && reply.flags == [.syn, .ack])
      client.next &+= 1
      client.received = reply.sequence &+ 1
      return (client, try #require(reply.timestamps).value)
    }

    private func request(_ client: Client, _ value: UInt32, echo: UInt32, _ text: [UInt8] = get("/")) -> Packet {
      client.segment([.psh, .ack], options: TCPOptionBytes.alignedTimestamps(value, echo: echo), text)
    }

    private let page = StoredObject.page("/", "x").response(VariantIndex.persistent11)

    @Test("a SYN-ACK has what was offered and is allowed, in the kernel's order")
    func offers() throws {
      let linux = TCPOptionBytes.linux(1460)
      let table: [(allowed: UInt32, offered: [TCPOptionBytes], timestamps: Bool, sack: Bool, scale: UInt8?)] = [
        (Self.all, linux, true, true, 7),
        (Self.all & ~HandshakeOptions.sack, linux, true, false, 7),
        (Self.all & ~HandshakeOptions.windowScale, linux, true, true, nil),
        (Self.all & ~HandshakeOptions.timestamps, linux, false, false, nil),
        (Self.all, [.segmentSize(1460), .timestamps(1)], true, false, nil),
        (Self.all, [.segmentSize(1460), .selectiveAcknowledgement, .windowScale(7)], false, false, nil),
        (Self.all, [.segmentSize(1460), .windowScale(2), .timestamps(1)], true, false, 7),
        (Self.all, [.timestamps(1), .windowScale(2)], false, false, nil),
      ]
      for row in table {
        let bench = try bench(allowing: row.allowed)
        let client = Client(bench)
        let outcome = try bench.send(client.segment(.syn, acknowledgement: 0, options: row.offered))
        let reply = try #require(outcome.reply)
        #expect(reply.faults.isEmpty && reply.acknowledgement == client.next &+ 1 && reply.window == 64_240)
        #expect((reply.timestamps != nil) == row.timestamps && reply.hasSACKPermitted == row.sack, "\(row)")
        #expect(reply.windowShift == row.scale, "\(row)")
        if row.timestamps {
          #expect(reply.timestamps?.echo == (row.allowed == Self.all && row.offered.count < 4 ? 1 : 0x100))
        }
        #expect(reply.options.count <= row.offered.flatMap(\.bytes).count + 3, "not longer than the SYN")
      }
    }

    @Test("a hit echoes the request's timestamp, and its window is scaled")
    func hit() throws {
      let bench = try bench()
      let (client, sent) = try connected(bench)
      let outcome = try bench.send(request(client, 0x200, echo: sent))
      let reply = try #require(outcome.reply)
      #expect(reply.faults.isEmpty && reply.payload == page && reply.window == ReceiveWindow.scaled)
      #expect(reply.timestamps?.echo == 0x200 && reply.options.count == 12)
      // A test's delay.
      #expect((reply.timestamps?.value ?? 0) &- sent < 10_000)
      let connection = try #require(bench.connection(client.flow))
      #expect(connection.peerTimestamp == 0x200 && connection.options.hasSACK && connection.options.windowShift == 7)
      #expect(connection.payloadMax == 1448)
    }

    @Test("the room of a segment is what timestamps leave of it")
    func room() throws {
      for (length, isHit) in [(1448, true), (1449, false)] {
        let bench = try bench()
        let empty = StoredObject.page("/long", body: Array(repeating: 0x61, count: 1000))
        let head = empty.response(VariantIndex.persistent11).count - 1000
        bench.store(.page("/long", body: Array(repeating: 0x61, count: length - head)))
        let (client, sent) = try connected(bench)
        try bench.send(
          request(client, 0x200, echo: sent, get("/long")),
          isHit ? .counts("hits") : .counts("hits", "segments", "segments", "segments"))
      }
    }

    @Test("a request that says what has come twice is answered; with more than that, or unasked, it is handed over")
    func duplicateReported() throws {
      let block: [UInt8] = [1, 1, 5, 10] + Array(repeating: 7, count: 8)
      let two: [UInt8] = [1, 1, 5, 18] + Array(repeating: 7, count: 16)
      let table: [(allowed: UInt32, option: [UInt8], isAnswered: Bool)] = [
        (Self.all, block, true), (Self.all, two, false), (Self.all & ~HandshakeOptions.sack, block, false),
        (Self.all, [253, 12] + Array(repeating: 0, count: 10), false),
      ]
      for row in table {
        let bench = try bench(allowing: row.allowed)
        let (client, sent) = try connected(bench)
        let options = TCPOptionBytes.alignedTimestamps(0x200, echo: sent) + [.raw(row.option)]
        let packet = client.segment([.psh, .ack], options: options, get("/"))
        if row.isAnswered {
          #expect(try bench.send(packet).reply?.payload == page)
        } else {
          try bench.send(packet, .handedOver(.segment))
        }
      }
    }

    @Test("a window counts with the client's shift")
    func windowShift() throws {
      for (window, isHit) in [(UInt16(0), false), (1, true)] {
        let bench = try bench()
        let (client, sent) = try connected(bench)
        try bench.send(
          request(client, 0x200, echo: sent).with { $0.window = window },
          isHit ? .counts("hits") : .handedOver(.windowTooSmall))
      }
    }

    @Test("an old timestamp is acknowledged and dropped, with data; without, it is dropped")
    func old() throws {
      let bench = try bench()
      var (client, sent) = try connected(bench)
      try bench.send(request(client, 0x200, echo: sent), .counts("hits"))
      client.advance(request: get("/").count, response: page.count)
      let outcome = try bench.send(request(client, 0x1ff, echo: sent), .counts("acknowledgements"))
      #expect(outcome.reply?.timestamps?.echo == 0x200 && outcome.reply?.payload == [])
      let ack = client.segment(options: TCPOptionBytes.alignedTimestamps(0x1ff, echo: sent))
      try bench.send(ack, .dropped(.untimely))
      // The clock goes round.
      try bench.send(request(client, 0x200 &+ 0x7fff_ffff, echo: sent), .counts("hits"))
    }

    @Test("a segment without the timestamps agreed on is dropped, a reset is not")
    func missing() throws {
      let bench = try bench()
      var (client, sent) = try connected(bench)
      try bench.send(request(client, 0x200, echo: sent), .counts("hits"))
      client.advance(request: get("/").count, response: page.count)
      try bench.send(client.request(get("/")), .dropped(.untimely))
      try bench.send(client.segment([.rst]), .dropped(.reset))
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("timestamps in any alignment are read")
    func alignment() throws {
      let bench = try bench()
      var (client, sent) = try connected(bench)
      let options: [TCPOptionBytes] = [.timestamps(0x200, echo: sent), .noOperation, .noOperation]
      let outcome = try bench.send(client.segment([.psh, .ack], options: options, get("/")), .counts("hits"))
      #expect(outcome.reply?.timestamps?.echo == 0x200)
      client.advance(request: get("/").count, response: page.count)
      // With SACK blocks in an acknowledgement, as after a loss.
      let blocks = TCPOptionBytes.raw([1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0])
      try bench.send(
        client.segment(options: TCPOptionBytes.alignedTimestamps(0x201, echo: sent) + [blocks]),
        .dropped(.acknowledgement))
    }

    @Test("a keepalive probe before the first request does not lose what was agreed on")
    func probe() throws {
      let bench = try bench()
      let (client, sent) = try connected(bench)
      let probe = client.segment(
        sequence: client.next &- 1, options: TCPOptionBytes.alignedTimestamps(0x1f0, echo: sent))
      let outcome = try bench.send(probe, .counts("acknowledgements"))
      let echo = try #require(outcome.reply?.timestamps).value
      try bench.send(request(client, 0x200, echo: echo), .counts("hits"))
      let connection = try #require(bench.connection(client.flow))
      #expect(connection.options.hasSACK && connection.options.windowShift == 7)
    }

    @Test("a connection is handed over with what was agreed on, and goes on with its clock")
    func handover() throws {
      let bench = try Bench(onlySimulated: true)
      bench.control.handshakeOptions = Self.all
      let kernel = bench.simulatedKernel.kernel
      kernel.assignResult = 0
      var (client, sent) = try connected(bench)
      try bench.send(request(client, 0x200, echo: sent, get("/missing")))
      var attributes = try #require(kernel.handedOver.last)
      #expect(attributes.hasTimestamps == 1 && attributes.hasSACK == 1 && attributes.hasWindowScale == 1)
      #expect(attributes.sendWindowScale == 7 && attributes.receiveWindowScale == 7 && attributes.hasECN == 0)
      #expect(attributes.receivedTimestamp == 0x200 && attributes.segmentSizeMax == 1460)
      #expect(attributes.echoedTimestamp == sent)
      // What the kernel no longer allows it would refuse.
      (client, sent) = try connected(bench)
      bench.control.handshakeOptions = HandshakeOptions.cookies | HandshakeOptions.windowScale
      try bench.send(request(client, 0x200, echo: sent, get("/missing")))
      attributes = try #require(kernel.handedOver.last)
      #expect(attributes.hasTimestamps == 0 && attributes.hasSACK == 0 && attributes.hasWindowScale == 1)
    }

    @Test(
      "the segment handed over says the shortest round trip, or none, and its checksum is right", arguments: [0, 3])
    func roundTrip(checksumState: UInt8) throws {
      let bench = try Bench(onlySimulated: true)
      bench.control.handshakeOptions = Self.all
      bench.store(.page("/", "x"))
      let kernel = bench.simulatedKernel.kernel
      func handedOver(_ packet: Packet) throws -> (echo: UInt32, isChanged: Bool) {
        kernel.checksumState = checksumState
        defer { kernel.checksumState = 0 }
        let outcome = try bench.send(packet)
        let segment = try #require(ReceivedSegment(outcome.packet))
        #expect(outcome.verdict == Outcome.next)
        // A partial checksum does not cover what the segment says.
        if checksumState == 0 { #expect(segment.faults.isEmpty) }
        #expect(segment.payload == get("/missing"))
        return (try #require(segment.timestamps).echo, !outcome.isUntouched)
      }
      func wait(ms: UInt64) { kernel.time_ns += ms * 1_000_000 }
      // Asked for at once.
      var (client, sent) = try connected(bench)
      wait(ms: 30)
      #expect(try handedOver(request(client, 0x200, echo: sent, get("/missing"))) == (sent, false))
      // The client has been thinking.
      (client, sent) = try connected(bench)
      wait(ms: 3000)
      #expect(try handedOver(request(client, 0x200, echo: sent, get("/missing"))).echo &- sent == 4000)
      // It has been seen how fast it can be.
      (client, sent) = try connected(bench)
      wait(ms: 30)
      let answer = try #require(try bench.send(request(client, 0x200, echo: sent)).reply?.timestamps).value
      client.advance(request: get("/").count, response: page.count)
      wait(ms: 20)
      try bench.send(
        client.segment(options: TCPOptionBytes.alignedTimestamps(0x201, echo: answer)), .dropped(.acknowledgement))
      wait(ms: 3000)
      #expect(try handedOver(request(client, 0x202, echo: answer, get("/missing"))).echo == answer &+ 3000)
      // Timestamps that stand elsewhere are left as they are.
      (client, sent) = try connected(bench)
      wait(ms: 3000)
      let options: [TCPOptionBytes] = [.timestamps(0x200, echo: sent), .noOperation, .noOperation]
      let outcome = try bench.send(client.segment([.psh, .ack], options: options, get("/missing")))
      #expect(outcome.verdict == Outcome.next && outcome.isUntouched)
    }

    @Test("without SYN cookies in the kernel every SYN is left to it")
    func noCookies() throws {
      let bench = try bench(allowing: 7)
      let client = Client(bench)
      try bench.send(client.segment(.syn, acknowledgement: 0, options: TCPOptionBytes.linux(1460)), .left)
    }
  }
}
