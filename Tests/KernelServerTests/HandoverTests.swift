import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  @Suite struct HandingOver {
    private func connected(segmentSize: UInt16? = 1460) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.store(.page("/", "x"))
      var client = Client(bench)
      try client.connect(segmentSize: segmentSize)
      return (bench, client)
    }

    struct Request: Sendable, CustomTestStringConvertible {
      let testDescription: String
      let bytes: [UInt8]
      let reason: HandoverReason
    }

    static let requests: [Request] = [
      Request(testDescription: "a query", bytes: get("/?a"), reason: .query),
      Request(testDescription: "POST", bytes: head("POST / HTTP/1.1", "Content-Length: 0"), reason: .method),
      Request(testDescription: "HEA", bytes: head("HEA / HTTP/1.1"), reason: .method),
      Request(testDescription: "a body in the segment", bytes: get("/") + [1, 2, 3], reason: .headIncomplete),
      Request(testDescription: "half a head", bytes: Array(get("/").dropLast(5)), reason: .headIncomplete),
      Request(testDescription: "17 bytes", bytes: [UInt8](repeating: 0x47, count: 17), reason: .headIncomplete),
      Request(testDescription: "one byte", bytes: [0x47], reason: .headIncomplete),
      Request(testDescription: "two requests", bytes: get("/") + get("/"), reason: .pipelined),
      Request(testDescription: "Range", bytes: get("/", "Range: bytes=0-1"), reason: .field),
      Request(testDescription: "If-Match", bytes: get("/", "If-Match: *"), reason: .conditional),
      Request(testDescription: "Connection: upgrade", bytes: get("/", "Connection: upgrade"), reason: .connectionField),
      Request(testDescription: "no Host", bytes: Array("GET / HTTP/1.1\r\nX: y\r\n\r\n".utf8), reason: .hostMissing),
      Request(
        testDescription: "an odd Host", bytes: Array("GET / HTTP/1.1\r\nHost: a_b\r\n\r\n".utf8), reason: .hostUnknown),
      Request(testDescription: "obs-fold", bytes: get("/", " folded"), reason: .headMalformed),
      Request(testDescription: "HTTP/2", bytes: head("GET / HTTP/2.0"), reason: .version),
      Request(testDescription: "absolute-form", bytes: get("http://a/"), reason: .target),
      Request(testDescription: "a head of 2048 bytes", bytes: longHead(2048), reason: .noObject),
      Request(testDescription: "a head of 2049 bytes", bytes: longHead(2049), reason: .headTooLong),
      Request(testDescription: "a head of 3000 bytes", bytes: longHead(3000), reason: .headTooLong),
    ]

    private static func longHead(_ length: Int) -> [UInt8] {
      get("/long", "X: " + String(repeating: "y", count: length - get("/long", "X: ").count))
    }

    @Test("what is not understood is handed over, on the first request and later", arguments: requests)
    func notUnderstood(_ request: Request) throws {
      var (bench, client) = try connected()
      try bench.send(client.request(request.bytes), .handedOver(request.reason))
      #expect(bench.connection(client.flow) == nil)
      (bench, client) = try connected()
      try client.get(get("/"), StoredObject.page("/", "x").response(0))
      try bench.send(client.request(request.bytes), .handedOver(request.reason))
      #expect(bench.connection(client.flow) == nil, "the kernel has refused it: nothing is kept")
    }

    @Test("a miss is told, with the path and the Host as they were sent, once a second")
    func missEvent() throws {
      let (bench, client) = try connected()
      let path = "/missing/" + String(repeating: "m", count: 246)
      let request = Array("GET \(path) HTTP/1.1\r\nHost: Some.Example:8080\r\n\r\n".utf8)
      let outcome = try bench.send(client.request(request), .handedOver(.noObject))
      let event = try #require(outcome.events.first)
      #expect(outcome.events.count == 1 && event.count == MissEvent.byteCount)
      let header = event.withUnsafeBytes { $0.loadUnaligned(as: MissEvent.self) }
      #expect(header.kind == EventKind.miss && header.site == 0)
      let host = event[MissEvent.hostOffset..<MissEvent.hostOffset + Int(header.hostLength)]
      #expect(String(decoding: host, as: UTF8.self) == "Some.Example:8080")
      let told = event[MissEvent.pathOffset..<MissEvent.pathOffset + Int(header.pathLength)]
      #expect(String(decoding: told, as: UTF8.self) == path)
    }

    @Test("a request with a query is no miss anybody is told of")
    func queryIsNoMiss() throws {
      let (bench, client) = try connected()
      let outcome = try bench.send(client.request(get("/missing?a")), .handedOver(.query))
      #expect(outcome.events.isEmpty && outcome.counted["missEvents"] == nil)
    }

    @Test("the same miss twice in a second is told once, another one is told")
    func missEventsOnce() throws {
      let bench = try Bench(onlySimulated: true)
      var client = Client(bench)
      try client.connect()
      let told = try (0..<5).map { _ in try bench.send(client.request(get("/m"))).events.count }
      #expect(told == [1, 0, 0, 0, 0])
      #expect(try bench.send(client.request(get("/n"))).events.count == 1)
      bench.simulatedKernel.kernel.time_ns += 1_000_000_000
      #expect(try bench.send(client.request(get("/m"))).events.count == 1)
    }

    @Test("misses are told no more often than the limit, and the rest are counted")
    func missEventRate() throws {
      let bench = try Bench(onlySimulated: true)
      var client = Client(bench)
      try client.connect()
      var told = 0
      var suppressed = 0
      for number in 0..<Int(Limits.missEventsPerSecondMax) + 200 {
        let outcome = try bench.send(client.request(get("/\(number)")))
        told += outcome.counted["missEvents"] ?? 0
        suppressed += outcome.counted["missEventsSuppressed"] ?? 0
      }
      #expect(told == Int(Limits.missEventsPerSecondMax) && suppressed == 200)
    }

    @Test("an old heartbeat, a drain, an odd generation, a missing Date: handed over")
    func notNow() throws {
      var (bench, client) = try connected()
      bench.heartbeatAge_ns = Limits.heartbeatAge_ns_max + 500_000_000
      try bench.send(client.request(get("/")), .handedOver(.staleHeartbeat))
      (bench, client) = try connected()
      bench.control.draining = 1
      try bench.send(client.request(get("/")), .handedOver(.draining))
      (bench, client) = try connected()
      bench.second += 1000
      try bench.send(client.request(get("/")), .handedOver(.date))
      (bench, client) = try connected()
      let unit = bench.store(.page("/b", "y"))
      bench.patch(unit: unit, offset: 0, UInt32(3))
      try bench.send(client.request(get("/b")), .handedOver(.noObject))
    }

    @Test("a heartbeat of almost two seconds ago is young enough")
    func youngEnough() throws {
      let (bench, client) = try connected()
      bench.heartbeatAge_ns = Limits.heartbeatAge_ns_max - 500_000_000
      let end = client.next &+ UInt32(get("/").count)
      let response = StoredObject.page("/", "x").response(0)
      try bench.send(client.request(get("/")), .response(response, sequence: client.received, acknowledging: end))
    }

    @Test("an answer fits the client's segment to the byte, and its window, or it is handed over")
    func room() throws {
      let frame = StoredObject.page("/fit", body: []).response(0).count
      // The Content-Length of the body has more digits than that of none.
      let object = StoredObject.page("/fit", body: [UInt8](repeating: 0x62, count: 1460 - frame - 3))
      let size = object.response(0).count
      #expect(size == 1460)
      for segmentSize: UInt16 in [1460, 8940] {
        let bench = try Bench()
        bench.store(object)
        var client = Client(bench)
        try client.connect(segmentSize: segmentSize)
        try client.get(get("/fit"), object.response(0))
      }
      let (bench, client) = try connected()
      bench.store(object)
      let request = client.request(get("/fit"))
      try bench.send(request.with { $0.window = UInt16(size - 1) }, .handedOver(.windowTooSmall))
      var second = Client(bench)
      try second.connect()
      let end = second.next &+ UInt32(get("/fit").count)
      try bench.send(
        second.request(get("/fit")).with { $0.window = UInt16(size) },
        .response(object.response(0), sequence: second.received, acknowledging: end))
    }

    @Test("the largest answer, in one segment of 15,900 bytes")
    func largest() throws {
      for excess in [0, 1] {
        let bench = try Bench()
        var object = StoredObject.page("/big", body: [])
        let body = (0..<Limits.responseBytesMax + excess - object.response(0).count).map {
          UInt8(truncatingIfNeeded: $0)
        }
        object.body = body
        bench.store(object)
        var client = Client(bench)
        try client.connect(segmentSize: Family.segmentSizeMax)
        if excess == 0 {
          try client.get(get("/big"), object.response(0))
        } else {
          try bench.send(client.request(get("/big")), .handedOver(.responseTooLong))
        }
      }
    }

    @Test("a variant the object has not is handed over")
    func noVariant() throws {
      let bench = try Bench()
      var object = StoredObject.page("/", "x")
      object.heads[VariantIndex.closing10] = nil
      bench.store(object)
      var client = Client(bench)
      try client.connect()
      try bench.send(client.request(head("GET / HTTP/1.0")), .handedOver(.variant))
    }

    @Test("urgent data and TCP options nobody agreed on are handed over")
    func oddSegments() throws {
      let (bench, client) = try connected()
      try bench.send(client.request(get("/")).with { $0.flags.insert(.urg) }, .handedOver(.segment))
      try bench.send(client.request(get("/")).with { $0.options = [.raw([253, 4, 0, 0])] }, .handedOver(.segment))
    }

    @Test("a wrong TCP checksum is dropped, whatever the payload's length")
    func wrongChecksum() throws {
      let (bench, client) = try connected()
      for length in [0, 1, 2, 3, 4, 5, 511, 512, 513, 1024, 1459, 2047, 2048] where length > 0 {
        for error: UInt16 in [1, 0x100] {
          let packet = client.request([UInt8](repeating: 0x61, count: length)).with { $0.tcpChecksumError = error }
          try bench.send(packet, .dropped(.checksum))
        }
        // And a right one is not.
        let outcome = try bench.send(client.request([UInt8](repeating: 0x61, count: length)))
        #expect(outcome.counted["handovers"] == 1, "\(length)")
      }
      try bench.send(
        client.request(get("/")).with {
          $0.options = [.timestamps(1)]
          $0.tcpChecksumError = 1
        }, .dropped(.checksum))
    }

    @Test("without a listener behind, the kernel refuses the connection itself")
    func noListener() throws {
      let (bench, client) = try connected()
      try bench.listen(backend: .loopback(1, port: 8082), flags: 0)
      let outcome = try bench.send(client.request(get("/missing")))
      #expect(outcome.verdict == Outcome.next && outcome.counted["drop: noListener"] == 1)
    }

    @Test("a connection that is taken over is kept until its socket is seen")
    func taken() throws {
      let bench = try Bench(onlySimulated: true)
      bench.store(.page("/", "x"))
      let kernel = bench.simulatedKernel.kernel
      kernel.assignResult = 0
      var client = Client(bench)
      try client.connect(segmentSize: 1400)
      // The first request: nothing is stored, the cookie still speaks for it.
      try bench.send(
        client.request(get("/m")),
        .verdict(Outcome.next, "left").and(.counts("handovers", "handover: noObject", "missEvents")))
      #expect(bench.connection(client.flow) == nil && kernel.handedOver.last?.segmentSizeMax == 1400)
      // The second one: the connection is kept.
      var second = Client(bench)
      try second.connect(segmentSize: 1400)
      try second.get(get("/"), StoredObject.page("/", "x").response(0))
      try bench.send(
        second.request(head("POST / HTTP/1.1")),
        .verdict(Outcome.next, "left").and(.counts("handovers", "handover: method")))
      #expect(bench.connection(second.flow)?.state == ConnectionState.handedOver)
      #expect(kernel.handedOver.last?.segmentSizeMax == 1400 && kernel.handedOver.count == 2)
      // The accept queue was full: the request comes again and is given again.
      try bench.send(second.request(head("POST / HTTP/1.1")), .verdict(Outcome.next, "left").and(.counts()))
      #expect(kernel.handedOver.count == 3)
      try bench.openSocket(from: second.local)
      try bench.send(second.request(head("POST / HTTP/1.1")), .left)
      #expect(bench.connection(second.flow) == nil)
      try bench.send(second.segment(), .left)
    }

    @Test("an object that changes while it is copied is not sent")
    func torn() throws {
      let bench = try Bench(onlySimulated: true)
      let unit = bench.store(.page("/", "x"))
      var client = Client(bench)
      try client.connect()
      let arena = bench.simulatedKernel.memory.arena + Int(unit) * Limits.recordAlignment
      bench.simulatedKernel.kernel.onStore = { arena.storeBytes(of: UInt32(4), as: UInt32.self) }
      try bench.send(client.request(get("/")), .dropped(.tornObject))
      #expect(bench.connection(client.flow) == nil)
      bench.simulatedKernel.kernel.onStore = nil
      try client.get(get("/"), StoredObject.page("/", "x").response(0))
    }

    @Test("where the device computes checksums, ours is the pseudo-header's")
    func partialChecksum() throws {
      let bench = try Bench(onlySimulated: true)
      bench.store(.page("/", "x"))
      let client = Client(bench)
      bench.simulatedKernel.kernel.checksumState = 3
      // Nobody verifies what the sender has not computed.
      let syn = client.segment(.syn, acknowledgement: 0, options: [.segmentSize(1460)])
      let outcome = try bench.send(syn.with { $0.tcpChecksumError = 7 })
      #expect(outcome.counted == ["handshakes": 1] && outcome.reply?.faults == ["TCP checksum"])
      // The families' pseudo-headers have the same sum.
      let addresses = Bench.server.addressBytes + client.local.addressBytes
      let place = try #require(outcome.reply).transportPlace + 16
      #expect(outcome.packet.word16(place) == InternetChecksum.sum(addresses + [0, 6, 0, 24]))
    }
  }
}
