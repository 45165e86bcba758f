import Contract
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  /// Responses of several segments: how they are cut, and what is done when a part of one is lost.
  @Suite struct SegmentedResponses {
    private struct Exchange {
      let bench: Bench
      var client: Client
      let response: [UInt8]
      let request = get("/long")

      init(_ length: Int, segmentSize: UInt16 = 1460, onlySimulated: Bool = false) throws {
        bench = try Bench(onlySimulated: onlySimulated)
        var object = StoredObject.page("/long", body: [])
        let digits = String(length).count - 1
        let head = object.response(VariantIndex.persistent11).count + digits
        object = .page("/long", body: (0..<length - head).map { UInt8(truncatingIfNeeded: $0 / 3 &* 7) })
        response = object.response(VariantIndex.persistent11)
        precondition(response.count == length || String(length - head).count != String(length).count)
        bench.store(object)
        client = Client(bench)
        try client.connect(segmentSize: segmentSize)
      }

      var end: UInt32 { client.received &+ UInt32(response.count) }
      var requestEnd: UInt32 { client.next &+ UInt32(request.count) }

      func ack(_ acknowledgement: UInt32) -> Packet {
        client.segment(.ack, sequence: requestEnd, acknowledgement: acknowledgement)
      }
    }

    /// Puts segments together, and holds each against what all of them have in common.
    private func assembled(_ exchange: Exchange, _ segments: [ReceivedSegment], from start: UInt32) -> [UInt8] {
      var bytes: [UInt8] = []
      for segment in segments {
        #expect(segment.faults.isEmpty, "\(segment)")
        #expect(segment.sequence == start &+ UInt32(bytes.count), "\(segment)")
        // The client's timer has to run on.
        #expect(segment.acknowledgement == exchange.client.next, "\(segment)")
        bytes += segment.payload
      }
      return bytes
    }

    @Test(
      "every byte once, in segments that fit, then the last one again",
      arguments: [1461, 1462, 1463, 2900, 4000, 14_000, 14_580])
    func cut(length: Int) throws {
      let exchange = try Exchange(length)
      let outcome = try exchange.bench.send(exchange.client.request(exchange.request))
      let response = exchange.response
      #expect(assembled(exchange, outcome.sent, from: exchange.client.received) == response)
      #expect(outcome.sent.allSatisfy { $0.payload.count <= 1460 } && outcome.sent.count <= (length + 3) / 1460 + 1)
      #expect(outcome.sent.dropLast().allSatisfy { $0.flags == .ack } && outcome.sent.last?.flags == [.psh, .ack])
      let probe = try #require(outcome.reply)
      #expect(probe.faults.isEmpty && probe.payload == [response.last!] && probe.sequence == exchange.end &- 1)
      #expect(probe.acknowledgement == exchange.client.next)
      #expect(outcome.counted["hits"] == 1 && outcome.counted["segments"] == outcome.sent.count + 1)
    }

    @Test("in any segment size", arguments: [536, 1220, 1340, 1400, 1452, 4036] as [UInt16])
    func sizes(segmentSize: UInt16) throws {
      let segmentSize = max(segmentSize, Family.segmentSizeMin)
      let exchange = try Exchange(5000, segmentSize: segmentSize)
      let outcome = try exchange.bench.send(exchange.client.request(exchange.request))
      #expect(assembled(exchange, outcome.sent, from: exchange.client.received) == exchange.response)
      #expect(outcome.sent.allSatisfy { $0.payload.count <= segmentSize })
    }

    @Test("what does not fit into the initial window, or the client's, is handed over")
    func windows() throws {
      // RFC 6928: ten segments.
      let size = Family.segmentSizeMin
      try handsOver(Exchange(10 * Int(size) + 140, segmentSize: size), .congestionWindow)
      try handsOver(Exchange(14_620), .congestionWindow)
      let exchange = try Exchange(9000)
      try exchange.bench.send(
        exchange.client.request(exchange.request).with { $0.window = UInt16(exchange.response.count - 1) },
        .handedOver(.windowTooSmall))
    }

    private func handsOver(_ exchange: Exchange, _ reason: HandoverReason) throws {
      try exchange.bench.send(exchange.client.request(exchange.request), .handedOver(reason))
    }

    @Test("the request is acknowledged when the whole response is")
    func acknowledged() throws {
      var exchange = try Exchange(6000)
      let bench = exchange.bench
      try bench.send(exchange.client.request(exchange.request))
      try bench.send(exchange.ack(exchange.client.received &+ 2000), .dropped(.acknowledgement))
      try bench.send(exchange.ack(exchange.end), .acknowledgement(exchange.end, exchange.requestEnd))
      #expect(bench.connection(exchange.client.flow)?.state == ConnectionState.idle)
      // Once.
      try bench.send(exchange.ack(exchange.end), .dropped(.acknowledgement))
      // And the next request is answered.
      exchange.client.advance(request: exchange.request.count, response: exchange.response.count)
      let next = try bench.send(exchange.client.request(exchange.request))
      #expect(assembled(exchange, next.sent, from: exchange.client.received) == exchange.response)
    }

    @Test("a request that follows at once acknowledges as well")
    func nextRequest() throws {
      var exchange = try Exchange(6000)
      try exchange.bench.send(exchange.client.request(exchange.request))
      exchange.client.advance(request: exchange.request.count, response: exchange.response.count)
      let next = try exchange.bench.send(exchange.client.request(exchange.request))
      #expect(assembled(exchange, next.sent, from: exchange.client.received) == exchange.response)
    }

    @Test("the third duplicate acknowledgement brings the missing segment, a partial one the next")
    func duplicates() throws {
      let exchange = try Exchange(9000)
      let bench = exchange.bench
      let first = try bench.send(exchange.client.request(exchange.request)).sent
      let una = first[1].sequence
      try bench.send(exchange.ack(una), .dropped(.acknowledgement))
      try bench.send(exchange.ack(una), .dropped(.acknowledgement))
      try bench.send(exchange.ack(una), .dropped(.acknowledgement))
      var again = try bench.send(exchange.ack(una), .counts("retransmissions", "segments", "segments"))
      #expect(again.sent.map(\.payload) == [first[1].payload] && again.sent[0].sequence == una)
      #expect(again.reply?.sequence == first[2].sequence &- 1 && again.reply?.payload.count == 1)
      // Further duplicates bring nothing more.
      try bench.send(exchange.ack(una), .dropped(.acknowledgement))
      // RFC 6582: a partial acknowledgement shows the next hole.
      again = try bench.send(exchange.ack(first[4].sequence), .counts("retransmissions", "segments", "segments"))
      #expect(again.sent.map(\.payload) == [first[4].payload])
      try bench.send(exchange.ack(exchange.end), .acknowledgement(exchange.end, exchange.requestEnd))
    }

    @Test("the probe alone shows that the last segment is lost")
    func tailLoss() throws {
      let exchange = try Exchange(3000)
      let first = try exchange.bench.send(exchange.client.request(exchange.request)).sent
      let una = first.last!.sequence
      try exchange.bench.send(exchange.ack(una), .dropped(.acknowledgement))
      let again = try exchange.bench.send(exchange.ack(una))
      #expect(again.sent.map(\.payload) == [first.last!.payload])
    }

    @Test("an acknowledgement with another window is no duplicate")
    func windowUpdate() throws {
      let exchange = try Exchange(3000)
      let first = try exchange.bench.send(exchange.client.request(exchange.request)).sent
      let una = first.last!.sequence
      for window: UInt16 in [60_000, 50_000, 40_000] {
        try exchange.bench.send(exchange.ack(una).with { $0.window = window }, .dropped(.acknowledgement))
      }
    }

    @Test("the request again: from what the client has, one segment, then two at a time of what it lacks")
    func requestAgain() throws {
      let exchange = try Exchange(9000)
      let bench = exchange.bench
      let first = try bench.send(exchange.client.request(exchange.request)).sent
      func again(_ acknowledgement: UInt32) throws -> Outcome {
        try bench.send(
          exchange.client.segment([.psh, .ack], acknowledgement: acknowledgement, exchange.request),
          .counts("retransmissions", "segments", "segments"))
      }
      var outcome = try again(exchange.client.received)
      #expect(outcome.sent.map(\.payload) == [first[0].payload])
      outcome = try again(first[3].sequence)
      #expect(outcome.sent.map(\.payload) == [first[3].payload])
      outcome = try bench.send(exchange.ack(first[4].sequence))
      #expect(outcome.sent.map(\.payload) == first[4...5].map(\.payload))
      outcome = try bench.send(exchange.ack(first[6].sequence))
      #expect(outcome.sent.map(\.payload) == [first[6].payload])
      // All of it is there, only our acknowledgement was lost.
      try bench.send(
        exchange.client.segment([.psh, .ack], acknowledgement: exchange.end, exchange.request),
        .acknowledgement(exchange.end, exchange.requestEnd))
      try bench.send(exchange.ack(exchange.end), .dropped(.acknowledgement))
    }

    @Test("a client that has a part of a segment gets the rest, or the head again")
    func oddPositions() throws {
      let exchange = try Exchange(6000)
      let bench = exchange.bench
      try bench.send(exchange.client.request(exchange.request))
      for have in [1, 5, 1000, 1461, 3333, 5997, 5999] {
        let acknowledgement = exchange.client.received &+ UInt32(have)
        let outcome = try bench.send(
          exchange.client.segment([.psh, .ack], acknowledgement: acknowledgement, exchange.request))
        let segment = try #require(outcome.sent.first)
        let start = Int(segment.sequence &- exchange.client.received)
        #expect(start == (have < 120 ? 0 : have), "\(have)")
        #expect(
          segment.faults.isEmpty && segment.payload == Array(exchange.response[start...].prefix(segment.payload.count)))
        #expect(segment.payload.count > 1000 || have > 5000)
      }
    }

    @Test("after a loss less is sent at once, until it has gone well again")
    func congestionWindow() throws {
      var exchange = try Exchange(9000)
      let bench = exchange.bench
      try bench.send(exchange.client.request(exchange.request))
      try bench.send(exchange.client.request(exchange.request))
      try bench.send(exchange.ack(exchange.end), .acknowledgement(exchange.end, exchange.requestEnd))
      exchange.client.advance(request: exchange.request.count, response: exchange.response.count)
      try bench.send(exchange.client.request(exchange.request), .handedOver(.congestionWindow))
    }

    @Test("an object that has changed since resets the connection")
    func changed() throws {
      let exchange = try Exchange(6000)
      let bench = exchange.bench
      try bench.send(exchange.client.request(exchange.request))
      bench.patch(unit: 1, offset: 0, UInt32(9))
      try bench.send(exchange.client.request(exchange.request), .counts("resets"))
      #expect(bench.connection(exchange.client.flow) == nil)
    }

    @Test("our FIN is in the last segment and in the probe")
    func closes() throws {
      let exchange = try Exchange(4000)
      let bench = exchange.bench
      let request = get("/long", "Connection: close")
      let outcome = try bench.send(exchange.client.request(request))
      #expect(outcome.sent.last?.flags == [.fin, .psh, .ack] && outcome.reply?.flags == [.fin, .psh, .ack])
      #expect(outcome.sent.dropLast().allSatisfy { $0.flags == .ack })
      let length = UInt32(outcome.sent.map(\.payload.count).reduce(0, +))
      let end = exchange.client.received &+ length &+ 1
      let requestEnd = exchange.client.next &+ UInt32(request.count)
      let fin = exchange.client.segment([.fin, .ack], sequence: requestEnd, acknowledgement: end)
      try bench.send(fin, .acknowledgement(end, requestEnd &+ 1))
    }

    @Test("with timestamps a segment has twelve bytes less")
    func timestamps() throws {
      let exchange = try Exchange(14_000)
      let bench = exchange.bench
      bench.control.handshakeOptions = 15
      var client = Client(bench)
      let syn = try bench.send(client.segment(.syn, acknowledgement: 0, options: TCPOptionBytes.linux(1460)))
      client.next &+= 1
      client.received = try #require(syn.reply).sequence &+ 1
      let echo = try #require(syn.reply?.timestamps).value
      let outcome = try bench.send(
        client.segment([.psh, .ack], options: TCPOptionBytes.alignedTimestamps(0x200, echo: echo), exchange.request))
      #expect(
        outcome.sent.count == 10 && outcome.sent.allSatisfy { $0.payload.count <= 1448 && $0.timestamps?.echo == 0x200 }
      )
      #expect(outcome.sent.flatMap(\.payload) == exchange.response && outcome.sent.allSatisfy(\.faults.isEmpty))
      // One duplicate is enough where SACK says that the probe has arrived.
      let una = outcome.sent[2].sequence
      let requestEnd = client.next &+ UInt32(exchange.request.count)
      var sack: [UInt8] = [1, 1, 5, 10]
      sack.append32(outcome.sent[3].sequence)
      sack.append32(client.received &+ UInt32(exchange.response.count))
      func ack(_ options: [TCPOptionBytes]) -> Packet {
        client.segment(
          sequence: requestEnd, acknowledgement: una,
          options: TCPOptionBytes.alignedTimestamps(0x201, echo: echo) + options)
      }
      try bench.send(ack([]), .dropped(.acknowledgement))
      try bench.send(ack([]), .dropped(.acknowledgement))
      let again = try bench.send(ack([.raw(sack)]), .counts("retransmissions", "segments", "segments"))
      #expect(again.sent.map(\.payload) == [outcome.sent[2].payload])
    }
  }
}
