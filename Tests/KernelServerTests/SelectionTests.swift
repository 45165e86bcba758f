import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// Which answer a request gets: HEAD, preconditions, content codings.
  @Suite struct Selecting {
    private func connected(_ object: StoredObject) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.store(object)
      var client = Client(bench)
      try client.connect()
      return (bench, client)
    }

    // MARK: HEAD

    @Test("HEAD gets the head of GET and no body", arguments: [0, 1, 333, 1000])
    func head(size: Int) throws {
      for hasDate in [true, false] {
        let object = StoredObject.page(
          "/a.css", body: (0..<size).map { UInt8(truncatingIfNeeded: $0) }, hasDate: hasDate)
        var (_, client) = try connected(object)
        try client.get(KernelServerTests.head("HEAD /a.css HTTP/1.1"), object.headResponse(VariantIndex.persistent11))
        try client.get(get("/a.css"), object.response(VariantIndex.persistent11))
        try client.get(
          KernelServerTests.head("HEAD /a.css HTTP/1.0"), object.headResponse(VariantIndex.closing10), closes: true)
      }
    }

    @Test("paths of every length are found by HEAD, and not one that differs in its last byte")
    func headPathLengths() throws {
      let bench = try Bench()
      bench.ignoresMissEvents = true
      for length in 1...255 where length < 20 || length % 8 < 2 || length > 250 {
        let path = "/" + String(repeating: "p", count: length - 1)
        let object = StoredObject.page(path, "x")
        bench.store(object)
        var client = Client(bench)
        try client.connect()
        try client.get(KernelServerTests.head("HEAD \(path) HTTP/1.1"), object.headResponse(0))
        let other = KernelServerTests.head("HEAD \(path.dropLast())q HTTP/1.1")
        if length > 1 { try bench.send(client.request(other), .handedOver(.noObject)) }
      }
    }

    @Test("HEAD of what is not there tells the miss with its path")
    func headMiss() throws {
      let (bench, client) = try connected(.page("/", "x"))
      let outcome = try bench.send(
        client.request(KernelServerTests.head("HEAD /missing.txt HTTP/1.1")), .handedOver(.noObject))
      let event = try #require(outcome.events.first)
      let header = event.withUnsafeBytes { $0.loadUnaligned(as: MissEvent.self) }
      let path = event[MissEvent.pathOffset..<MissEvent.pathOffset + Int(header.pathLength)]
      #expect(String(decoding: path, as: UTF8.self) == "/missing.txt")
    }

    @Test("where HEAD was not learned it is handed over")
    func headUnknown() throws {
      var object = StoredObject.page("/", "x")
      object.rules = RepresentationRule.evaluatesConditions
      let (bench, client) = try connected(object)
      try bench.send(client.request(KernelServerTests.head("HEAD / HTTP/1.1")), .handedOver(.method))
    }

    @Test("HEAD that comes again gets the same bytes")
    func headAgain() throws {
      let object = StoredObject.page("/", "body")
      let (bench, client) = try connected(object)
      let request = KernelServerTests.head("HEAD / HTTP/1.1")
      let end = client.next &+ UInt32(request.count)
      let response = object.headResponse(0)
      for again in [false, true, true] {
        try bench.send(
          client.request(request),
          .response(response, sequence: client.received, acknowledging: end, again: again))
      }
    }

    // MARK: Preconditions (RFC 9110 section 13)

    struct Precondition: Sendable, CustomTestStringConvertible {
      let fields: [String]
      let expected: Expected
      var testDescription: String { "\(fields.joined(separator: ", ")): \(expected)" }
      enum Expected: Sendable { case whole, notModified, handedOver }
    }

    private static func rows(_ expected: Precondition.Expected, _ fields: [String]...) -> [Precondition] {
      fields.map { Precondition(fields: $0, expected: expected) }
    }

    private static let date = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
    private static let otherDate = "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT"
    private static let long = "\"" + String(repeating: "x", count: 100) + "\""

    static let preconditions: [Precondition] =
      rows(
        .notModified, ["If-None-Match: \"1\""], ["If-None-Match: W/\"1\""], ["If-None-Match: *"],
        ["if-none-match:\"1\""],
        ["If-None-Match: \"2\", \"1\""], ["If-None-Match: \"1\", \"2\""], ["If-None-Match: \"2\",\"3\",W/\"1\""],
        ["If-None-Match: \"\", \"1\""], ["If-None-Match: \"a,b\", \"1\""], ["If-None-Match: \(long), \"1\""], [date],
        ["If-None-Match: \"1\"", date], [date, "If-None-Match: \"1\""], ["If-None-Match: \"1\"", otherDate],
        ["If-None-Match: \"1\"", "If-Modified-Since: yesterday"],
        ["If-None-Match: \"1\"", "Cache-Control: no-cache", "Pragma: no-cache"],
        ["If-None-Match: \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"1\""])
      + rows(
        .whole, ["If-None-Match: \"2\""], ["If-None-Match: W/\"2\""], ["If-None-Match: \"11\""],
        ["If-None-Match: \"\""], ["If-None-Match: \"2\", \"3\""], ["If-None-Match: \"2\"", date],
        ["If-None-Match: \"1 \""], ["If-None-Match: \(long)"], ["Cache-Control: max-age=0"], ["Pragma: no-cache"])
      + rows(
        .handedOver, ["If-None-Match: 1"], ["If-None-Match: w/\"1\""], ["If-None-Match: \"1"],
        ["If-None-Match: \"2\" \"1\""], ["If-None-Match: \"1\"x"], ["If-None-Match: \"1\" "], ["If-None-Match:"],
        ["If-None-Match: \"2\","], ["If-None-Match: \"2\",  \"1\""], ["If-None-Match: **"], ["If-None-Match: *, \"1\""],
        ["If-None-Match: \"1\"", "If-None-Match: \"2\""], [otherDate], ["If-Modified-Since: x"],
        ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], [date, date], [date + " "], ["If-Match: \"1\""],
        ["If-None-Match: \"1\"", "If-Match: \"1\""], ["If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"],
        ["If-None-Match: \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"1\""],
        ["If-None-Match: \"" + String(repeating: "x", count: 130) + "\", \"1\""])

    private func request(_ line: String, _ fields: [String]) -> [UInt8] {
      Array(([line, "Host: a"] + fields).map { $0 + "\r\n" }.joined().utf8) + [0x0d, 0x0a]
    }

    @Test("preconditions", arguments: preconditions)
    func precondition(row: Precondition) throws {
      let object = StoredObject.page("/", "body")
      for isHead in [false, true] {
        var (bench, client) = try connected(object)
        let request = request("\(isHead ? "HEAD" : "GET") / HTTP/1.1", row.fields)
        switch row.expected {
        case .whole: try client.get(request, isHead ? object.headResponse(0) : object.response(0))
        case .notModified: try client.get(request, object.notModified(0))
        case .handedOver:
          let outcome = try bench.send(client.request(request))
          #expect(outcome.counted["handover: conditional"] == 1, "\(outcome)")
        }
      }
    }

    @Test("304 has a head of its own for each kind of request, and ends the connection where that is asked for")
    func notModifiedVariants() throws {
      let object = StoredObject.page("/", "body")
      var (_, client) = try connected(object)
      let field = "If-None-Match: \"1\""
      try client.get(request("GET / HTTP/1.1", [field]), object.notModified(VariantIndex.persistent11))
      try client.get(
        request("GET / HTTP/1.0", [field, "Connection: keep-alive"]), object.notModified(VariantIndex.persistent10))
      try client.get(
        request("GET / HTTP/1.1", [field, "Connection: close"]), object.notModified(VariantIndex.closing11),
        closes: true)
      (_, client) = try connected(object)
      try client.get(request("GET / HTTP/1.0", [field]), object.notModified(VariantIndex.closing10), closes: true)
    }

    @Test("a conditional request that comes again is answered with the same 304")
    func notModifiedAgain() throws {
      let object = StoredObject.page("/", "body")
      let (bench, client) = try connected(object)
      let request = request("GET / HTTP/1.1", ["If-None-Match: \"1\""])
      let end = client.next &+ UInt32(request.count)
      try bench.send(
        client.request(request), .response(object.notModified(0), sequence: client.received, acknowledging: end))
      bench.remove(object)
      let outcome = try bench.send(client.request(request))
      #expect(outcome.reply?.payload == object.notModified(0) && outcome.counted == ["retransmissions": 1])
    }

    @Test("entity tags of every length are compared to the last byte")
    func tagLengths() throws {
      let bench = try Bench()
      for length in 2...65 {
        var object = StoredObject.page("/\(length)", "body")
        let tag = "\"" + String(repeating: "t", count: length - 2) + "\""
        object.tag = Array(tag.utf8)
        bench.store(object)
        var client = Client(bench)
        try client.connect()
        let line = "GET /\(length) HTTP/1.1"
        if length > Limits.tagBytesMax {
          try bench.send(
            client.request(request(line, ["If-None-Match: \(tag)"])), .handedOver(.conditional))
          continue
        }
        try client.get(request(line, ["If-None-Match: \(tag)"]), object.notModified(0))
        let other = tag.dropLast(2) + "u\""
        if length > 2 { try client.get(request(line, ["If-None-Match: \(other)"]), object.response(0)) }
        try client.get(request(line, ["If-None-Match: \"t\(tag.dropFirst())"]), object.response(0))
      }
    }

    @Test("what is no 2xx answer takes no notice of preconditions; what was not learned is handed over")
    func otherRules() throws {
      var object = StoredObject.page("/", "body")
      object.rules = RepresentationRule.ignoresConditions
      var (bench, client) = try connected(object)
      try client.get(request("GET / HTTP/1.1", ["If-None-Match: \"1\""]), object.response(0))
      try client.get(request("GET / HTTP/1.1", ["If-Modified-Since: x"]), object.response(0))
      object.rules = 0
      (bench, client) = try connected(object)
      try bench.send(client.request(request("GET / HTTP/1.1", ["If-None-Match: \"1\""])), .handedOver(.conditional))
      object.rules = RepresentationRule.evaluatesConditions
      object.notModifiedHeads = []
      (bench, client) = try connected(object)
      try bench.send(client.request(request("GET / HTTP/1.1", ["If-None-Match: \"1\""])), .handedOver(.variant))
      object.lastModified = []
      (bench, client) = try connected(object)
      try bench.send(client.request(request("GET / HTTP/1.1", [Self.date])), .handedOver(.conditional))
    }

    @Test("of a server behind only what says its validators again gets a 304; all else is handed over")
    func repeatedConditions() throws {
      var object = StoredObject.page("/", "body")
      let exact = "If-None-Match: W/\"1\""
      object.rules = RepresentationRule.answersHead | RepresentationRule.repeatsConditions
      object.tag = Array("W/\"1\"".utf8)
      for method in ["GET", "HEAD"] {
        let line = "\(method) / HTTP/1.1"
        for fields in [[exact], [Self.date], [exact, Self.date]] {
          var (_, client) = try connected(object)
          try client.get(request(line, fields), object.notModified(0))
        }
        for fields in [
          ["If-None-Match: \"1\""], ["If-None-Match: *"], ["If-None-Match: \"2\""], [exact + ", \"2\""],
          ["If-None-Match: W/\"2\""], [exact, Self.otherDate], ["If-None-Match: \"1\"", Self.date], [Self.otherDate],
        ] {
          let (bench, client) = try connected(object)
          try bench.send(client.request(request(line, fields)), .handedOver(.conditional))
        }
      }
      for missing in ["tag", "date"] {
        var object = object
        if missing == "tag" { object.tag = [] } else { object.lastModified = [] }
        var (_, asking) = try connected(object)
        try asking.get(request("GET / HTTP/1.1", [missing == "tag" ? Self.date : exact]), object.notModified(0))
        for fields in [[missing == "tag" ? exact : Self.date], [exact, Self.date]] {
          let (bench, client) = try connected(object)
          try bench.send(client.request(request("GET / HTTP/1.1", fields)), .handedOver(.conditional))
        }
      }
    }

    // MARK: Content codings (RFC 9110 section 12.5.3)

    private static func page(with codings: Set<ContentCoding>) -> StoredObject {
      var object = StoredObject.page("/", "identity")
      for coding in codings {
        var sideCar = StoredObject.page("/", "\(coding)".uppercased())
        sideCar.tag = Array("\"\(coding)\"".utf8)
        object.sideCars[coding] = sideCar
      }
      return object
    }

    static let orders: [(value: String, order: [ContentCoding])] = [
      ("gzip, deflate, br, zstd", [.brotli, .zstandard, .gzip]), ("gzip, deflate", [.gzip]), ("gzip", [.gzip]),
      ("GZIP", [.gzip]), ("x-gzip", [.gzip]), ("identity", []), ("deflate", []), ("", []),
      ("*", [.brotli, .zstandard, .gzip]),
      ("br;q=0.5, gzip", [.gzip, .brotli]), ("gzip;q=0.001,br;q=0", [.gzip]), ("*;q=0", []),
      ("gzip;q=1.0, *;q=0.1", [.gzip, .brotli, .zstandard]), ("identity;q=0.5, *;q=0.4", []),
      ("gzip;q=1.0,deflate;q=0.6,identity;q=0.3", [.gzip]), ("identity;q=0, zstd", [.zstandard]),
      ("zstd; q=0.8, br; q=0.8", [.brotli, .zstandard]), ("compress, gzip, dcb, dcz", [.gzip]),
      ("br;q=1.000,zstd;q=0.999", [.brotli, .zstandard]),
    ]

    @Test("the representation the client wants most of those there are", arguments: orders)
    func codings(value: String, order: [ContentCoding]) throws {
      let all: [Set<ContentCoding>] = [
        [], [.gzip], [.brotli], [.zstandard], [.brotli, .gzip], [.brotli, .zstandard], [.zstandard, .gzip],
        [.brotli, .zstandard, .gzip],
      ]
      for available in all {
        let object = Self.page(with: available)
        var (_, client) = try connected(object)
        let expected = order.first { available.contains($0) }.flatMap { object.sideCars[$0] } ?? object
        try client.get(get("/", "Accept-Encoding: \(value)"), expected.response(0))
        try client.get(
          KernelServerTests.head("HEAD / HTTP/1.1", "Accept-Encoding: \(value)"), expected.headResponse(0))
        let tag = String(decoding: expected.tag, as: UTF8.self)
        try client.get(get("/", "Accept-Encoding: \(value)", "If-None-Match: \(tag)"), expected.notModified(0))
        try client.get(get("/"), object.response(0))
      }
    }

    @Test(
      "what is odd is handed over where there is a choice, and does not matter where there is none",
      arguments: [
        "gzip;q=1.001", "gzip;q=2", "gzip;q=", "gzip;q=.5", "gzip;level=9", "gzip;q=0.5;x=y", "gzip q=1", "gzip,,br",
        ", gzip", "gzip,", "gzip , br", "aes128gcm", "gzip, gzip;q=0", "gzip;q=0.1234", "\"gzip\"", "gzip;  q=1",
        "a,b,c,d,e,f,g,h,br", "gzip/1", "**", "br ",
      ])
    func oddCodings(value: String) throws {
      var (bench, client) = try connected(Self.page(with: [.brotli]))
      try bench.send(client.request(get("/", "Accept-Encoding: \(value)")), .handedOver(.acceptEncoding))
      let object = StoredObject.page("/", "alone")
      (bench, client) = try connected(object)
      try client.get(get("/", "Accept-Encoding: \(value)"), object.response(0))
    }

    @Test("a representation that exists and is not stored is handed over, to those who prefer it")
    func elsewhere() throws {
      var object = Self.page(with: [.gzip])
      object.elsewhere = [.identity, .brotli]
      let gzip = try #require(object.sideCars[.gzip])
      for (value, isHit) in [
        ("gzip", true), ("gzip, br", false), ("br", false), ("identity", false), ("zstd, gzip", true),
      ] {
        var (bench, client) = try connected(object)
        if isHit {
          try client.get(get("/", "Accept-Encoding: \(value)"), gzip.response(0))
        } else {
          try bench.send(client.request(get("/", "Accept-Encoding: \(value)")), .handedOver(.variant))
        }
      }
    }

    @Test("a request with Accept-Encoding that comes again gets the same representation")
    func codingAgain() throws {
      let object = Self.page(with: [.brotli, .gzip])
      let (bench, client) = try connected(object)
      let request = get("/", "Accept-Encoding: gzip")
      let end = client.next &+ UInt32(request.count)
      let response = try #require(object.sideCars[.gzip]).response(0)
      for again in [false, true] {
        try bench.send(
          client.request(request), .response(response, sequence: client.received, acknowledging: end, again: again))
      }
    }
  }
}
