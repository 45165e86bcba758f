import Contract
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  @Suite struct Ages {
    /// An object whose head ends in an Age, which counts from that second.
    private static func aged(_ body: String, base_s: UInt64, odd: Bool = false) -> StoredObject {
      var object = StoredObject.page("/", body)
      let front = "HTTP/1.1 200 OK\r\nX: \(odd ? "y" : "yy")\r\nContent-Length: \(body.utf8.count)\r\nAge: "
      let head = Array(front.utf8) + [UInt8](repeating: 0, count: AgeSlot.length) + Array("\r\n\r\n".utf8)
      object.heads = [head, head, nil, nil]
      object.flags = RecordFlag.hasAge
      object.ageBase_s = UInt32(truncatingIfNeeded: base_s)
      return object
    }

    private static func response(_ object: StoredObject, age: Int) -> [UInt8] {
      var head = object.heads[0]!
      let digits = Array(String(age).utf8)
      let text = [UInt8](repeating: 0x20, count: AgeSlot.length - digits.count) + digits
      head.replaceSubrange(head.count - 4 - AgeSlot.length..<head.count - 4, with: text)
      return head + object.body
    }

    private func connected(_ object: StoredObject) throws -> (Bench, Client) {
      let bench = try Bench()
      bench.store(object)
      var client = Client(bench)
      try client.connect(segmentSize: 1460)
      return (bench, client)
    }

    @Test("the Age is the time since its base, right-aligned, whatever the parity of its place and of the body's")
    func ages() throws {
      let second: UInt64 = 1_800_000_000
      for age in [0, 1, 9, 10, 59, 60, 12_345, 86_400, 9_999_999, 10_000_000, 99_999_999] {
        for odd in [false, true] {
          let object = Self.aged(odd ? "body" : "odd", base_s: second - UInt64(age), odd: odd)
          var (_, client) = try connected(object)
          try client.get(get("/"), Self.response(object, age: age))
        }
      }
    }

    @Test("an age too large for its place is as large as fits, and one before its base is none")
    func limits() throws {
      let second: UInt64 = 1_800_000_000
      for (base_s, age) in [(second - 123_456_789, 99_999_999), (second + 1, 0), (second + 3600, 0)] {
        let object = Self.aged("x", base_s: base_s)
        var (_, client) = try connected(object)
        try client.get(get("/"), Self.response(object, age: age))
      }
    }

    @Test("an answer that is repeated has the Age it had, and the next one a later one")
    func again() throws {
      let object = Self.aged("x", base_s: 1_800_000_000 - 5)
      let (bench, client) = try connected(object)
      let end = client.next &+ UInt32(get("/").count)
      let expected = Self.response(object, age: 5)
      let first = try bench.send(
        client.request(get("/")), .response(expected, sequence: client.received, acknowledging: end))
      bench.second += 7
      for _ in 0..<2 {
        let repeated = try bench.send(
          client.request(get("/")), .response(expected, sequence: client.received, acknowledging: end, again: true))
        #expect(repeated.packet == first.packet)
      }
      var next = client
      next.advance(request: get("/").count, response: expected.count)
      try next.get(get("/"), Self.response(object, age: 12))
    }

    @Test("the text of an age is its number in eight places")
    func text() {
      for age in [UInt32(0), 7, 10, 100, 4_294_967, 99_999_999] {
        let bytes = withUnsafeBytes(of: AgeSlot.text(age_s: age).littleEndian) { Array($0) }
        #expect(String(decoding: bytes, as: UTF8.self) == String(repeating: " ", count: 8 - "\(age)".count) + "\(age)")
      }
      #expect(AgeSlot.text(age_s: .max) == AgeSlot.text(age_s: AgeSlot.age_s_max))
    }

    @Test("where keep-alive said aloud is answered otherwise, only who says nothing is answered")
    func keepAliveDiffers() throws {
      var object = StoredObject.page("/", "x")
      object.flags = RecordFlag.keepAliveDiffers
      var (bench, client) = try connected(object)
      try client.get(get("/"), object.response(VariantIndex.persistent11))
      try client.get(head("GET / HTTP/1.0", "Connection: keep-alive"), object.response(VariantIndex.persistent10))
      try bench.send(client.request(get("/", "Connection: keep-alive")), .handedOver(.variant))
      (bench, client) = try connected(object)
      try client.get(get("/", "Connection: close"), object.response(VariantIndex.closing11), closes: true)
      // Without the flag both are the same.
      (bench, client) = try connected(StoredObject.page("/", "x"))
      try client.get(get("/", "Connection: keep-alive"), object.response(VariantIndex.persistent11))
      _ = bench
    }

    @Test("an empty line between requests is taken and forgotten; before the first one it is the server's")
    func emptyLines() throws {
      let object = StoredObject.page("/", "x")
      var (bench, client) = try connected(object)
      try client.get(get("/"), object.response(0))
      let line: [UInt8] = [0x0d, 0x0a]
      for _ in 0..<2 {
        let packet = client.request(line)
        try bench.send(packet, .acknowledgement(client.received, client.next &+ 2))
        // Its acknowledgement was lost.
        try bench.send(packet, .acknowledgement(client.received, client.next &+ 2))
        client.next &+= 2
        try client.get(get("/"), object.response(0))
      }
      #expect(bench.connection(client.flow)?.answered == 3)
      try bench.send(client.request([0x0d, 0x0d]), .handedOver(.headIncomplete))
      (bench, client) = try connected(object)
      try bench.send(client.request(line), .handedOver(.headIncomplete))
    }
  }
}
