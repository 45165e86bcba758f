import Contract
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  @Suite struct Answers {
    private func connected(_ object: StoredObject, segmentSize: UInt16? = 1460) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.store(object)
      var client = Client(bench)
      try client.connect(segmentSize: segmentSize)
      return (bench, client)
    }

    @Test("a hit is one segment: head, Date, body, checksums")
    func hit() throws {
      for body in ["", "x", "xy", "swift", String(repeating: "apus ", count: 200)] {
        let object = StoredObject.page("/a.css", body)
        var (bench, client) = try connected(object)
        try client.get(get("/a.css"), object.response(VariantIndex.persistent11))
        let connection = try #require(bench.connection(client.flow))
        #expect(connection.state == ConnectionState.answering && connection.answered == 1)
        #expect(connection.receiveNext.value == client.next && connection.sendNext.value == client.received)
        #expect(connection.generation == object.generation && connection.responseSecond == UInt32(bench.second))
        _ = bench
      }
    }

    @Test("the Date may begin at an odd or an even place, or be missing")
    func datePlaces() throws {
      for front in ["HTTP/1.1 200 OK\r\nDate: ", "HTTP/1.1 200 Okay\r\nDate: ", "D: "] {
        for odd in ["", "x"] {
          var object = StoredObject.page("/", "body")
          object.heads[0] = Array((front + odd).utf8) + StoredObject.datePlace + Array("\r\nX: y\r\n\r\n".utf8)
          var (_, client) = try connected(object)
          try client.get(get("/"), object.response(VariantIndex.persistent11))
        }
      }
      let object = StoredObject.page("/", body: [1, 2, 3], hasDate: false)
      var (_, client) = try connected(object)
      try client.get(get("/"), object.response(VariantIndex.persistent11))
    }

    @Test("many requests on a connection, and their acknowledgements")
    func keepAlive() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object)
      for round in 0..<20 {
        try client.get(get("/"), object.response(VariantIndex.persistent11))
        if round % 2 == 0 { try bench.send(client.segment(), .dropped(.acknowledgement)) }
      }
      #expect(bench.connection(client.flow)?.answered == 20)
      try bench.send(client.segment([.fin, .ack]), .finish(client.received, client.next &+ 1))
      client.next &+= 1
      client.received &+= 1
      try bench.send(client.segment(), .dropped(.acknowledgement))
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("Connection: close: our FIN rides on the response")
    func closing() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object)
      try client.get(get("/", "Connection: close"), object.response(VariantIndex.closing11), closes: true)
      try bench.send(client.segment(), .dropped(.acknowledgement))
      try bench.send(client.segment([.fin, .ack]), .acknowledgement(client.received, client.next &+ 1))
      // Once more: the last acknowledgement was lost.
      try bench.send(client.segment([.fin, .ack]), .acknowledgement(client.received, client.next &+ 1))
      #expect(bench.connection(client.flow)?.peerClosed == 1)
    }

    @Test("HTTP/1.0 closes, or persists if it is asked to")
    func version10() throws {
      let object = StoredObject.page("/", "x")
      var (_, client) = try connected(object)
      try client.get(head("GET / HTTP/1.0", "Connection: Keep-Alive"), object.response(VariantIndex.persistent10))
      try client.get(head("GET / HTTP/1.0"), object.response(VariantIndex.closing10), closes: true)
      (_, client) = try connected(object)
      try client.get(Array("GET / HTTP/1.0\r\n\r\n".utf8), object.response(VariantIndex.closing10), closes: true)
    }

    @Test("a request with FIN is answered and closed with the response")
    func requestWithFin() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object)
      let response = object.response(VariantIndex.persistent11)
      let packet = client.request(get("/"), fin: true)
      let end = client.next &+ UInt32(get("/").count) &+ 1
      try bench.send(packet, .response(response, sequence: client.received, acknowledging: end, fin: true))
      try bench.send(packet, .response(response, sequence: client.received, acknowledging: end, fin: true, again: true))
      client.next = end
      client.received &+= UInt32(response.count) + 1
      try bench.send(client.segment(), .dropped(.acknowledgement))
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("a request that comes again gets the same bytes, its Date too, though time has passed")
    func again() throws {
      let object = StoredObject.page("/", "x")
      let (bench, client) = try connected(object)
      let end = client.next &+ UInt32(get("/").count)
      let later = Array("Fri, 15 Jan 2027 08:00:07 GMT".utf8)
      bench.setDate(bench.second + 7, later)
      let first = try bench.send(
        client.request(get("/")), .response(object.response(0), sequence: client.received, acknowledging: end))
      bench.second += 7
      for _ in 0..<3 {
        let repeated = try bench.send(
          client.request(get("/")),
          .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
        #expect(repeated.packet == first.packet)
      }
      // Joined with what follows when it was sent again.
      let joined = client.request(get("/") + Array("GET /b HTTP/1.1\r\n".utf8))
      try bench.send(joined, .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
      // The next one has the new Date.
      var next = client
      next.advance(request: get("/").count, response: object.response(0).count)
      try next.get(get("/"), object.response(0, date: later))
    }

    @Test("a repeated request is answered after the heartbeat has stopped, but not once its object is another one")
    func againLater() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object)
      let unit = bench.store(.page("/b", "y"))
      try client.get(get("/"), object.response(0))
      let request = client.request(get("/b"))
      let end = client.next &+ UInt32(get("/b").count)
      let response = StoredObject.page("/b", "y").response(0)
      try bench.send(request, .response(response, sequence: client.received, acknowledging: end))
      bench.heartbeatAge_ns = 5_000_000_000
      try bench.send(request, .response(response, sequence: client.received, acknowledging: end, again: true))
      bench.heartbeatAge_ns = 0
      bench.patch(unit: unit, offset: 0, UInt32(4))
      // The client believes a RST only at the number it expects next (RFC 5961 section 3.2).
      try bench.send(request, .reset(client.received, client.next &+ UInt32(get("/b").count)))
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("a repeated request is answered from its own version though the index leads elsewhere")
    func againReplaced() throws {
      let object = StoredObject.page("/", "old")
      let (bench, client) = try connected(object)
      let end = client.next &+ UInt32(get("/").count)
      try bench.send(
        client.request(get("/")), .response(object.response(0), sequence: client.received, acknowledging: end))
      bench.remove(object)
      try bench.send(
        client.request(get("/")),
        .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
      bench.store(StoredObject.page("/", "new"))
      try bench.send(
        client.request(get("/")),
        .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
    }

    @Test("a repeated request whose Date is no longer known resets the connection")
    func againWithoutDate() throws {
      let object = StoredObject.page("/", "x")
      let (bench, client) = try connected(object)
      let end = client.next &+ UInt32(get("/").count)
      try bench.send(
        client.request(get("/")), .response(object.response(0), sequence: client.received, acknowledging: end))
      bench.setDate(bench.second + 256, Bench.date)
      try bench.send(client.request(get("/")), .reset(client.received, end))
      #expect(bench.connection(client.flow) == nil)
    }

    @Test("another request in the place of the answered one gets the bytes that were sent")
    func againDifferent() throws {
      let object = StoredObject.page("/a", "x")
      let (bench, client) = try connected(object)
      bench.store(StoredObject.page("/b", "longer"))
      let end = client.next &+ UInt32(get("/a").count)
      try bench.send(
        client.request(get("/a")), .response(object.response(0), sequence: client.received, acknowledging: end))
      try bench.send(
        client.request(get("/b")),
        .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
      // The numbers of the sequence say that it is the same, whatever its bytes are now.
      try bench.send(
        client.request([UInt8](repeating: 0x47, count: get("/a").count)),
        .response(object.response(0), sequence: client.received, acknowledging: end, again: true))
    }

    @Test("sites: by Host, by listener, and not across")
    func sites() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.siteByHost | Listener.ownAddress, site: 9)
      try bench.register(host: "one.example", site: 1)
      try bench.register(host: "two.example:8080", site: 2)
      bench.store(StoredObject.page("/", body: Array("one".utf8), site: 1))
      bench.store(StoredObject.page("/", body: Array("two!".utf8), site: 2))
      bench.store(StoredObject.page("/", body: Array("nine".utf8), site: 9))
      var client = Client(bench)
      try client.connect()
      let request = { (host: String) in Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8) }
      try client.get(request("one.example"), StoredObject.page("/", "one").response(0))
      try client.get(request("two.example:8080"), StoredObject.page("/", "two!").response(0))
      let outcome = try bench.send(client.request(request("two.example")), .handedOver(.hostUnknown))
      #expect(outcome.events.count == 1)
    }

    @Test("a Host of every length finds its site")
    func hostLengths() throws {
      let bench = try Bench()
      try bench.listen(flags: Listener.siteByHost | Listener.ownAddress)
      bench.store(StoredObject.page("/", body: [1], site: 1))
      for length in 1...63 {
        let host = String(repeating: "h", count: length)
        try bench.register(host: host, site: 1)
        var client = Client(bench)
        try client.connect()
        try client.get(
          Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8), StoredObject.page("/", body: [1]).response(0))
      }
    }

    @Test("paths of every length find their object, and not one that differs in its last byte")
    func pathLengths() throws {
      let bench = try Bench()
      for length in 1...255 where length < 20 || length % 8 < 2 || length > 250 {
        let path = "/" + String(repeating: "p", count: length - 1)
        bench.store(.page(path, "x"))
        var client = Client(bench)
        try client.connect()
        try client.get(get(path), StoredObject.page(path, "x").response(0))
        if length > 1 { try bench.send(client.request(get(path.dropLast() + "q")), .handedOver(.noObject)) }
      }
    }

    @Test("two objects in one bucket, with the same upper half of the hash, are told apart")
    func collidingHashes() throws {
      let bench = try Bench()
      bench.ignoresMissEvents = true
      let object = StoredObject.page("/a", "right")
      let unit = bench.store(object)
      // The record says it is of another path, another site, another hash.
      bench.patch(unit: unit, offset: 18, UInt16(1))
      var client = Client(bench)
      try client.connect()
      try bench.send(client.request(get("/a")), .handedOver(.noObject))
      bench.patch(unit: unit, offset: 18, UInt16(2))
      bench.patch(unit: unit, offset: 16, UInt16(5))
      client = Client(bench)
      try client.connect()
      try bench.send(client.request(get("/a")), .handedOver(.noObject))
      bench.patch(unit: unit, offset: 16, UInt16(0))
      bench.patch(unit: unit, offset: ObjectRecord.pathOffset + 1, UInt8(ascii: "b"))
      client = Client(bench)
      try client.connect()
      try bench.send(client.request(get("/a")), .handedOver(.noObject))
      bench.patch(unit: unit, offset: ObjectRecord.pathOffset + 1, UInt8(ascii: "a"))
      client = Client(bench)
      try client.connect()
      try client.get(get("/a"), object.response(0))
    }
  }
}
