import Glibc
import Testing

@testable import ApusServer

@Suite("User server: connections")
struct UserServerConnectionTests {
  @Test("pipelined requests are answered in order: small, missing, large, small")
  func pipelining() async throws {
    try await withServer { port, directory, _ in
      try directory.write("small", "s")
      let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
      try directory.write("large", large)
      try directory.write("middle", large.prefix(20_000))
      let client = try RawClient(port: port)
      let paths = ["/small", "/nothing", "/large", "/middle", "/small", "/large", "/middle", "/nothing", "/small"]
      try await client.send(paths.map { get($0) }.joined())
      for path in paths {
        let response = try await client.response()
        switch path {
        case "/small": #expect(response.body == Array("s".utf8))
        case "/middle": #expect(response.body == Array(large.prefix(20_000)))
        case "/large": #expect(response.body == large)
        default: #expect(response.status == 404)
        }
      }
      #expect(client.received.isEmpty)
    }
  }

  @Test("thousands of pipelined requests are all answered, though nobody reads while they are sent")
  func manyPipelined() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", [UInt8](repeating: 9, count: 8000))
      let client = try RawClient(port: port, receiveBuffer: 4096)
      // 2,000 answers of 8 KB are far more than socket buffers hold; the requests are not.
      try await client.send(String(repeating: get("/f"), count: 2000))
      for _ in 0..<2000 {
        let response = try await client.response()
        #expect(response.status == 200 && response.body.count == 8000)
      }
    }
  }

  @Test("a request that comes byte by byte, with a body, is answered once")
  func byteByByte() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", "file")
      let client = try RawClient(port: port)
      let request = "POST /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
      for byte in (request + get("/f")).utf8 { try await client.send([byte]) }
      #expect(try await client.response().status == 405)
      #expect(try await client.response().body == Array("file".utf8))
    }
  }

  @Test("HTTP/1.0: closed after the answer, kept if asked for")
  func version10() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", "file")
      let closing = try RawClient(port: port)
      let response = try await closing.exchange("GET /f HTTP/1.0\r\n\r\n")
      #expect(response.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(response.field("Connection") == "close")
      #expect(try await closing.receiveAll().isEmpty)
      let kept = try RawClient(port: port)
      for _ in 0..<2 {
        let response = try await kept.exchange("GET /f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(response.field("Connection") == "keep-alive")
      }
    }
  }

  @Test("Connection: close is obeyed, and requests behind it are not answered")
  func close() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", "file")
      try directory.write("large", [UInt8](repeating: 1, count: 200_000))
      for path in ["/f", "/large"] {
        let client = try RawClient(port: port)
        try await client.send(get(path, "Connection: close\r\n") + get("/f"))
        #expect(try await client.response().field("Connection") == "close")
        #expect(try await client.receiveAll().isEmpty)
      }
    }
  }

  @Test("a client that shuts its side down is still answered, and then the connection ends")
  func halfClose() async throws {
    try await withServer { port, directory, server in
      try directory.write("f", "file")
      try directory.write("large", [UInt8](repeating: 1, count: 3_000_000))
      let client = try RawClient(port: port)
      try await client.send(get("/f") + get("/large") + get("/f"))
      client.shutDownSending()
      #expect(try await client.response().body.count == 4)
      #expect(try await client.response().body.count == 3_000_000)
      #expect(try await client.response().body.count == 4)
      #expect(try await client.receiveAll().isEmpty)
      let silent = try RawClient(port: port)
      silent.shutDownSending()
      #expect(try await silent.receiveAll().isEmpty)
      let cut = try RawClient(port: port)
      try await cut.send("GET /f HTT")
      cut.shutDownSending()
      #expect(try await cut.receiveAll().isEmpty)
    }
  }

  @Test("a 5 MB file arrives as it is, on a connection that is used again")
  func largeFile() async throws {
    try await withServer { port, directory, _ in
      var state: UInt64 = 1
      let content = (0..<5_000_000).map { _ -> UInt8 in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
      }
      try directory.write("large.bin", content)
      let client = try RawClient(port: port)
      for _ in 0..<2 {
        let response = try await client.exchange(get("/large.bin"))
        #expect(response.field("Content-Length") == "5000000")
        #expect(response.body == content)
      }
    }
  }

  @Test("sizes around the limits of cache, copying and portions arrive whole")
  func sizes() async throws {
    try await withServer { port, directory, _ in
      let client = try RawClient(port: port)
      let limits = [
        0, ServerLimits.copiedBodyBytesMax, ServerLimits.outputBytesMax, ServerLimits.cachedFileBytesMax,
        ServerLimits.filePortionBytes, 2 * ServerLimits.filePortionBytes,
      ]
      for size in limits.flatMap({ [$0 - 1, $0, $0 + 1] }) where size >= 0 {
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 2) }
        try directory.write("f\(size)", content)
        for _ in 0..<2 { #expect(try await client.exchange(get("/f\(size)")).body == content) }
      }
    }
  }

  @Test("a slow reader of a large file gets all of it, while others are served")
  func slowReader() async throws {
    try await withServer { port, directory, _ in
      let content = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 >> 9) }
      try directory.write("large", content)
      try directory.write("f", "file")
      let slow = try RawClient(port: port, receiveBuffer: 16_384)
      try await slow.send(get("/large"))
      for _ in 0..<20 {
        try await slow.receive(1000)
        #expect(try await RawClient(port: port).exchange(get("/f")).status == 200)
        try await Task.sleep(for: .milliseconds(10))
      }
      #expect(try await slow.response().body == content)
    }
  }

  @Test("a file that shrinks, or is overwritten, while it is sent ends the connection before its length")
  func shrinks() async throws {
    for how in ["shrink", "overwrite"] {
      try await withServer { port, directory, _ in
        let file = try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
        let client = try RawClient(port: port, receiveBuffer: 16_384)
        try await client.send(get("/large"))
        try await client.receive(1000)
        if how == "shrink" {
          #expect(truncate(file, 1_000_000) == 0)
        } else {
          try directory.write("large", [UInt8](repeating: 2, count: 20_000_000))
        }
        let all = try await client.receiveAll()
        #expect(all.count < 20_000_000)
      }
    }
  }

  @Test("a file that grows while it is sent, as logs do, arrives as long as it was")
  func grows() async throws {
    try await withServer { port, directory, _ in
      let file = try directory.write("log", [UInt8](repeating: 1, count: 10_000_000))
      let client = try RawClient(port: port, receiveBuffer: 16_384)
      try await client.send(get("/log"))
      try await client.receive(1000)
      let descriptor = open(file, O_WRONLY | O_APPEND)
      #expect(write(descriptor, "more", 4) == 4)
      Glibc.close(descriptor)
      #expect(try await client.response().body.count == 10_000_000)
    }
  }
}
