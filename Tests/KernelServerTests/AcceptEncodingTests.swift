import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// Objects whose representation is chosen by the value of Accept-Encoding, to the byte.
  @Suite struct SelectingByAcceptEncoding {
    /// 64 bytes, as many as are compared.
    private static let long = "gzip, " + String(repeating: "x", count: 58)

    private static let object: StoredObject = {
      var object = StoredObject.page("/", "identity")
      for (coding, size) in [(ContentCoding.gzip, 5), (.brotli, 300)] {
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var other = StoredObject.page("/", body: body)
        other.tag = Array("\"\(coding)\"".utf8)
        object.sideCars[coding] = other
      }
      // Only for HTTP/1.1.
      for variant in [VariantIndex.persistent10, VariantIndex.closing10] {
        object.sideCars[.gzip]?.heads[variant] = nil
      }
      object.elsewhere = [.zstandard]
      object.encodings = [
        (nil, .identity), ("identity", .identity), ("gzip", .gzip), ("gzip, deflate", .gzip),
        ("gzip, deflate, br", .brotli), ("deflate", .identity), ("zstd", .zstandard), (long, .brotli),
      ]
      return object
    }()

    private func connected(_ object: StoredObject = object) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.store(object)
      var client = Client(bench)
      try client.connect()
      return (bench, client)
    }

    private func request(_ line: String, _ value: String?, _ fields: String...) -> [UInt8] {
      let encoding = value.map { ["Accept-Encoding: \($0)"] } ?? []
      return Array((["\(line)", "Host: a"] + encoding + fields).map { $0 + "\r\n" }.joined().utf8) + [0x0d, 0x0a]
    }

    @Test("each value gets the representation it is said to", arguments: object.encodings.map(\.value))
    func values(value: String?) throws {
      let coding = try #require(Self.object.encodings.first { $0.value == value }).coding
      if Self.object.elsewhere.contains(coding) {
        let (bench, client) = try connected()
        try bench.send(client.request(request("GET / HTTP/1.1", value)), .handedOver(.variant))
        return
      }
      let expected = Self.object.sideCars[coding] ?? Self.object
      var (_, client) = try connected()
      try client.get(request("GET / HTTP/1.1", value), expected.response(0))
      try client.get(request("HEAD / HTTP/1.1", value), expected.headResponse(0))
      let tag = String(decoding: expected.tag, as: UTF8.self)
      try client.get(request("GET / HTTP/1.1", value, "If-None-Match: \(tag)"), expected.notModified(0))
      try client.get(request("GET / HTTP/1.1", value, "If-None-Match: \"2\""), expected.response(0))
      try client.get(request("GET / HTTP/1.1", nil), Self.object.response(0))
      try client.get(
        request("GET / HTTP/1.1", value, "Connection: close"), expected.response(VariantIndex.closing11), closes: true)
    }

    @Test(
      "any other value is handed over",
      arguments: [
        "", "br", "Gzip", "GZIP", "gzi", "gzip,", "gzip,deflate", "gzip, deflate ", " gzip", "gzip, deflate, br, zstd",
        "identitz", "xdentity", "identity, identity", "zstD", "*", "gzip;q=0", "deflatf",
        String(long.dropLast()), long + "x", String(long.dropLast()) + "y", String(repeating: "x", count: 1000),
      ])
    func otherValues(value: String) throws {
      let (bench, client) = try connected()
      try bench.send(client.request(request("GET / HTTP/1.1", value)), .handedOver(.acceptEncoding))
    }

    @Test("two lines are handed over, as is a field that only begins with the name")
    func twoLines() throws {
      var (bench, client) = try connected()
      let second = "Accept-Encoding: gzip"
      try bench.send(client.request(request("GET / HTTP/1.1", "gzip", second)), .handedOver(.acceptEncoding))
      (bench, client) = try connected()
      let longer = "Accept-Encodings: gzip"
      try bench.send(client.request(request("GET / HTTP/1.1", nil, longer)), .handedOver(.acceptEncoding))
    }

    @Test("the name of the field may be in any case, and needs no space behind it")
    func names() throws {
      let gzip = try #require(Self.object.sideCars[.gzip])
      var (_, client) = try connected()
      for line in ["accept-encoding: gzip", "ACCEPT-ENCODING:gzip, deflate"] {
        try client.get(request("GET / HTTP/1.1", nil, line), gzip.response(0))
      }
    }

    @Test("HTTP/1.0 is handed over where it was not learned")
    func http10() throws {
      let (bench, client) = try connected()
      try bench.send(client.request(request("GET / HTTP/1.0", "gzip")), .handedOver(.variant))
      var (_, other) = try connected()
      try other.get(
        request("GET / HTTP/1.0", "identity"), Self.object.response(VariantIndex.closing10), closes: true)
    }

    @Test("without an entry for the absent field it is handed over, and without entries everything is")
    func entries() throws {
      var object = Self.object
      object.encodings.removeFirst()
      var (bench, client) = try connected(object)
      try bench.send(client.request(request("GET / HTTP/1.1", nil)), .handedOver(.acceptEncoding))
      object = StoredObject.page("/", "identity")
      object.flags = RecordFlag.byAcceptEncoding
      for value in [nil, "gzip"] {
        (bench, client) = try connected(object)
        try bench.send(client.request(request("GET / HTTP/1.1", value)), .handedOver(.acceptEncoding))
      }
    }

    @Test("what comes again gets the same representation")
    func again() throws {
      let (bench, client) = try connected()
      let request = request("GET / HTTP/1.1", "gzip, deflate, br")
      let response = try #require(Self.object.sideCars[.brotli]).response(0)
      for again in [false, true] {
        try bench.send(
          client.request(request),
          .response(
            response, sequence: client.received, acknowledging: client.next &+ UInt32(request.count), again: again))
      }
    }
  }
}
