import Contract
import KernelTestSupport
import Testing

/// What the kernel part tells of a request for the access log.
struct LoggedRequest: Equatable, CustomStringConvertible {
  let kind: UInt16
  let reason: UInt16
  let status: String
  let bodyBytes: UInt32
  let address: [UInt8]
  let port: UInt16
  /// CLOCK_REALTIME; the machines' clocks differ in what is below.
  let second: UInt64
  let request: [UInt8]

  init(_ event: [UInt8]) {
    precondition(event.count >= AccessEvent.byteCount, "an event without its header")
    let header = event.withUnsafeBytes { $0.loadUnaligned(as: AccessEvent.self) }
    precondition(event.count == AccessEvent.byteCount + Int(header.headLength), "an event of another length")
    kind = header.kind
    reason = header.reason
    status = header.status == 0 ? "" : String(decoding: withUnsafeBytes(of: header.status) { Array($0) }, as: UTF8.self)
    // Of a hand-over it means nothing.
    bodyBytes = header.kind == AccessEvent.hit ? header.bodyBytes : 0
    address = withUnsafeBytes(of: header.remoteAddress) { Array($0) }
    port = UInt16(bigEndian: header.remotePort)
    second = header.time_ns / 1_000_000_000
    request = Array(event[AccessEvent.byteCount...])
  }

  init(_ client: Client, _ request: [UInt8], status: String, bodyBytes: Int) {
    kind = AccessEvent.hit
    reason = 0
    self.status = status + " "
    self.bodyBytes = UInt32(bodyBytes)
    (address, port, second) = Self.origin(client)
    self.request = request
  }

  init(_ client: Client, _ request: [UInt8], handedOver reason: HandoverReason) {
    kind = AccessEvent.handover
    self.reason = UInt16(reason.rawValue)
    status = ""
    bodyBytes = 0
    (address, port, second) = Self.origin(client)
    self.request = request
  }

  private static func origin(_ client: Client) -> ([UInt8], UInt16, UInt64) {
    let address = withUnsafeBytes(of: client.local.key) { Array($0) }
    return (address, client.local.port, client.bench.second)
  }

  var description: String {
    "kind \(kind), reason \(reason), status '\(status)', \(bodyBytes) bytes, from \(address):\(port), "
      + "second \(second), request of \(request.count) bytes"
  }
}

extension KernelPart {
  /// What is told of requests for the access log, in the simulated and in the real kernel.
  @Suite struct AccessLog {
    private func connected(_ object: StoredObject, _ bits: UInt32, size: UInt16 = 1460) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.control.accessLog = bits
      bench.store(object)
      var client = Client(bench)
      try client.connect(segmentSize: size)
      return (bench, client)
    }

    private static let all = AccessLogSwitch.hits | AccessLogSwitch.handovers

    @Test("with the log off nothing is told")
    func off() throws {
      let (bench, client) = try connected(.page("/", "x"), 0)
      #expect(try bench.send(client.request(get("/"))).accessEvents.isEmpty)
      bench.control.accessLog = AccessLogSwitch.handovers
      var other = Client(bench)
      try other.connect()
      #expect(try bench.send(other.request(get("/"))).accessEvents.isEmpty)
    }

    @Test("an answer is told with the very bytes of its request, whatever the answer is")
    func answers() throws {
      let object = StoredObject.page("/a.css", "0123456789")
      var (bench, client) = try connected(object, Self.all)
      let browser = get(
        "/a.css", "Referer: http://a/\"\\", "User-Agent: x", "Cookie: " + String(repeating: "c", count: 1200))
      let sameTag = get("/a.css", "If-None-Match: \"1\"")
      let headOnly = head("HEAD /a.css HTTP/1.1")
      for (request, response, status, bodyBytes) in [
        (get("/a.css"), object.response(0), "200", 10), (browser, object.response(0), "200", 10),
        (sameTag, object.notModified(0), "304", 0), (headOnly, object.headResponse(0), "200", 0),
        (get("/a.css"), object.response(0), "200", 10),
      ] {
        let outcome = try bench.send(client.request(request))
        #expect(outcome.reply?.payload == response)
        #expect(
          outcome.accessEvents == [LoggedRequest(client, request, status: status, bodyBytes: bodyBytes)],
          "\(outcome.accessEvents)")
        client.advance(request: request.count, response: response.count)
      }
      let last = get("/a.css", "Connection: close")
      let outcome = try bench.send(client.request(last, fin: true))
      #expect(outcome.accessEvents == [LoggedRequest(client, last, status: "200", bodyBytes: 10)])
    }

    @Test("redirections and 404 are told as what they are", arguments: ["301 Moved Permanently", "404 Not Found"])
    func otherStatuses(status: String) throws {
      var object = StoredObject.page("/d", "gone")
      object.heads = object.heads.map { Array("HTTP/1.1 \(status)".utf8) + $0!.dropFirst("HTTP/1.1 200 OK".utf8.count) }
      let (bench, client) = try connected(object, Self.all)
      let outcome = try bench.send(client.request(get("/d")))
      #expect(
        outcome.accessEvents == [LoggedRequest(client, get("/d"), status: String(status.prefix(3)), bodyBytes: 4)])
    }

    @Test("a request that comes again is not told again, nor is a response in several segments told twice")
    func once() throws {
      for length in [10, 5000] {
        let (bench, client) = try connected(.page("/", String(repeating: "x", count: length)), Self.all)
        let first = try bench.send(client.request(get("/")))
        #expect(first.accessEvents == [LoggedRequest(client, get("/"), status: "200", bodyBytes: length)])
        for _ in 0..<3 {
          let again = try bench.send(client.request(get("/")))
          #expect(again.counted["retransmissions"] == 1 && again.accessEvents.isEmpty)
        }
      }
    }

    @Test("a hand-over is told with its reason and its request, if that is asked for")
    func handovers() throws {
      for (request, reason) in [
        (get("/none"), HandoverReason.noObject), (head("POST / HTTP/1.1", "Content-Length: 0"), .method),
        (Array("\u{1}\u{2} what is no request \r\n\r\n".utf8), .method), (get("/?query"), .query),
      ] {
        let (bench, client) = try connected(.page("/", "x"), Self.all)
        let outcome = try bench.send(client.request(request), .handedOver(reason))
        #expect(
          outcome.accessEvents == [LoggedRequest(client, request, handedOver: reason)], "\(outcome.accessEvents)")
        bench.control.accessLog = AccessLogSwitch.hits
        var other = Client(bench)
        try other.connect()
        bench.ignoresMissEvents = true
        #expect(try bench.send(other.request(request), .handedOver(reason)).accessEvents.isEmpty)
      }
    }

    @Test("a request longer than what is read of it is told cut")
    func cut() throws {
      let (bench, client) = try connected(.page("/", "x"), Self.all, size: 8000)
      let long = get("/", "X-Long: " + String(repeating: "l", count: 3000))
      let outcome = try bench.send(client.request(long), .handedOver(.headTooLong))
      let expected = LoggedRequest(client, Array(long.prefix(Limits.headBytesMax)), handedOver: .headTooLong)
      #expect(outcome.accessEvents == [expected], "\(outcome.accessEvents)")
    }

    @Test("with the ring full requests are answered all the same, and what is lost is counted")
    func full() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object, Self.all)
      bench.leavesAccessEvents = true
      let request = get("/", "Cookie: " + String(repeating: "c", count: 1900))
      let room = (AccessEvent.byteCount + request.count + 8 + 7) & ~7
      let fitting = (Limits.accessRingBytes - 1) / room
      for number in 0..<fitting + 3 {
        let outcome = try bench.send(client.request(request))
        #expect(outcome.counted["hits"] == 1)
        let isLost = outcome.counted["accessEventsLost"] == 1
        #expect(isLost == (number >= fitting), "\(number) of \(fitting)")
        client.advance(request: request.count, response: object.response(0).count)
      }
      bench.leavesAccessEvents = false
      #expect(try bench.send(client.request(request)).accessEvents.count == fitting)
    }
  }
}
