import Glibc
import NIOCore
import Testing

@testable import ApusServer

@Suite("Proxy: streaming")
struct ProxyStreamingTests {
  private static let size = 60_000_000

  private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) } }

  @Test("large bodies pass whole, in both framings and both ways at once", arguments: [false, true])
  func large(chunked: Bool) async throws {
    let body = pattern(2_000_000)
    // Chunked and by length: the upstream sends back what it got, after the last byte.
    let upstream = ScriptedUpstream { received, _ in
      guard let end = received.utf8.firstRange(of: "\r\n\r\n".utf8) else { return nil }
      let count = received.utf8.distance(from: end.upperBound, to: received.utf8.endIndex)
      if chunked ? received.hasSuffix("\r\n0\r\n\r\n") : count >= 2_000_000 { return .ok("\(count)") }
      return nil
    }
    // The text of a body must survive String(decoding:), so it is letters.
    let letters = body.map { UInt8(ascii: "a") + $0 % 26 }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      if chunked {
        try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in stride(from: 0, to: letters.count, by: 100_000) {
          try await client.send("186a0\r\n")
          try await client.send(Array(letters[start..<start + 100_000]))
          try await client.send("\r\n")
        }
        try await client.send("0\r\n\r\n")
      } else {
        try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: \(letters.count)\r\n\r\n")
        try await client.send(letters)
      }
      let count = try #require(Int(text(try await client.response().body)))
      if chunked { #expect(count > letters.count) } else { #expect(count == letters.count) }
      let received = upstream.receivedBytes[0]
      let start = try #require(received.firstRange(of: Array("\r\n\r\n".utf8))).upperBound
      if chunked {
        var reader = BodyReader(.chunked)
        var input = ByteBuffer(bytes: received[start...])
        var passed = ByteBuffer()
        while var piece = try reader.next(&input) { passed.writeBuffer(&piece) }
        #expect(reader.isEnded && input.readableBytes == 0)
        let isSame = Array(passed.readableBytesView) == letters
        #expect(isSame)
      } else {
        let isSame = Array(received[start...]) == letters
        #expect(isSame)
      }
    }
  }

  @Test("a client that does not read holds the upstream back")
  func backPressure() async throws {
    let size = Self.size
    let body = [UInt8](repeating: 0x61, count: size)
    let upstream = ScriptedUpstream { received, _ in
      guard received.hasSuffix("\r\n\r\n") else { return nil }
      var reply = ScriptedUpstream.Reply("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
      reply.bytes += body
      return reply
    }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port, receiveBuffer: 16_384)
      try await client.send(get("/app"))
      try await Task.sleep(for: .milliseconds(700))
      // What is taken is in the buffers of four sockets, of some MB each, and a little of it in the proxy.
      #expect(upstream.sentBytes < size / 2, "\(upstream.sentBytes) bytes")
      let response = try await client.response()
      #expect(response.body.count == size)
    }
  }

  @Test("an upstream that does not read holds the client back")
  func uploadBackPressure() async throws {
    let (listener, endpoint) = TestServer.listen()
    defer { close(listener) }
    try await withProxy(to: Int(endpoint.port)) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
      let piece = [UInt8](repeating: 0x61, count: 1_000_000)
      var taken = 0
      // Sends until nothing is taken for a while.
      var stalls = 0
      while stalls < 40, taken < 200_000_000 {
        let count = client.sendSome(piece)
        if count > 0 {
          taken += count
          stalls = 0
        } else {
          stalls += 1
          try await Task.sleep(for: .milliseconds(10))
        }
      }
      // The sockets' buffers and little else: 4 of them, of 6 MB at most by default.
      #expect(taken < 40_000_000, "\(taken) bytes taken")
    }
  }
}
