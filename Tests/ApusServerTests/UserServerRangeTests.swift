import Glibc
import Testing

@testable import ApusServer

@Suite("User server: ranges")
struct UserServerRangeTests {
  private static let sizes = [1000, ServerLimits.cachedFileBytesMax, ServerLimits.cachedFileBytesMax + 1, 3_000_000]

  private func content(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) } }

  @Test("a part is the file's bytes, from memory and by sendfile, and the connection goes on", arguments: sizes)
  func single(size: Int) async throws {
    try await withServer { port, directory, _ in
      let content = content(size)
      try directory.write("f", content)
      let client = try RawClient(port: port)
      let ends = [(0, 0), (0, size - 1), (size - 1, size - 1), (size / 3, size / 2), (1, size - 2)]
      for (first, last) in ends {
        let response = try await client.exchange(get("/f", "Range: bytes=\(first)-\(last)\r\n"))
        #expect(response.status == 206)
        #expect(response.field("Content-Range") == "bytes \(first)-\(last)/\(size)")
        let same = response.body == Array(content[first...last])
        #expect(same, "\(first)-\(last)")
      }
      let end = try await client.exchange(get("/f", "Range: bytes=-10\r\n"))
      #expect(end.body == Array(content.suffix(10)))
      #expect(try await client.exchange(get("/f")).field("Accept-Ranges") == "bytes")
    }
  }

  @Test("several parts come as a list that says what each is", arguments: sizes)
  func several(size: Int) async throws {
    try await withServer { port, directory, _ in
      let content = content(size)
      try directory.write("f.txt", content)
      let client = try RawClient(port: port)
      let ranges = [size - 100..<size, 0..<10, size / 2..<size / 2 + 90]
      let field = ranges.map { "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: ", ")
      for _ in 0..<2 {
        let response = try await client.exchange(get("/f.txt", "Range: bytes=\(field)\r\n"))
        #expect(response.status == 206)
        let type = try #require(response.field("Content-Type"))
        #expect(type.hasPrefix("multipart/byteranges; boundary="))
        let boundary = type.dropFirst("multipart/byteranges; boundary=".count)
        var expected: [UInt8] = []
        for (index, range) in ranges.enumerated() {
          expected += Array((index == 0 ? "" : "\r\n").utf8)
          expected += Array("--\(boundary)\r\nContent-Type: text/plain; charset=utf-8\r\n".utf8)
          expected +=
            Array("Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)\r\n\r\n".utf8)
          expected += content[range]
        }
        expected += Array("\r\n--\(boundary)--\r\n".utf8)
        let same = response.body == expected
        #expect(same)
      }
    }
  }

  @Test("416 says how long the file is; what is no range, and HEAD, get the whole")
  func others() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", content(1000))
      let client = try RawClient(port: port)
      let beyond = try await client.exchange(get("/f", "Range: bytes=1000-\r\n"))
      #expect(beyond.status == 416)
      #expect(beyond.field("Content-Range") == "bytes */1000")
      #expect(beyond.field("Connection") == "keep-alive")
      for field in ["bytes=2-1", "lines=1-2", "bytes=0-1\r\nRange: bytes=2-3"] {
        let whole = try await client.exchange(get("/f", "Range: \(field)\r\n"))
        #expect(whole.status == 200 && whole.body.count == 1000)
      }
      let head = try await client.exchange("HEAD /f HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", toHead: true)
      #expect(head.status == 200 && head.field("Content-Length") == "1000")
      #expect(try await client.exchange("POST /f HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n").status == 405)
    }
  }

  @Test("If-Range: the part of the same version, the whole of another; conditions come first")
  func conditions() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", content(1000))
      let client = try RawClient(port: port)
      let tag = try #require(try await client.exchange(get("/f")).field("ETag"))
      func status(_ fields: String) async throws -> Int {
        try await client.exchange(get("/f", "Range: bytes=0-9\r\n\(fields)")).status
      }
      #expect(try await status("If-Range: \(tag)\r\n") == 206)
      #expect(try await status("If-Range: \"x\"\r\n") == 200)
      #expect(try await status("If-Range: W/\(tag)\r\n") == 200)
      #expect(try await status("If-Range: \(tag)\r\nIf-Range: \(tag)\r\n") == 200)
      #expect(try await status("If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n") == 200)
      #expect(try await status("If-None-Match: \(tag)\r\n") == 304)
      #expect(try await status("If-Match: \"x\"\r\n") == 412)
      #expect(try await status("If-Match: \(tag)\r\n") == 206)
      #expect(try await client.exchange(get("/f", "If-Range: \"x\"\r\n")).status == 200)
      // The next version: who has parts of the last one gets all of it.
      try directory.write("f", content(2000))
      try await Task.sleep(for: .milliseconds(ServerLimits.fileValidity_ms + 50))
      let whole = try await client.exchange(get("/f", "Range: bytes=500-\r\nIf-Range: \(tag)\r\n"))
      #expect(whole.status == 200 && whole.body.count == 2000)
    }
  }

  @Test("a slow reader of many large parts gets them all; one of a file that shrinks is told by an early end")
  func slowReader() async throws {
    try await withServer { port, directory, _ in
      let content = content(12_000_000)
      let file = try directory.write("f", content)
      let slow = try RawClient(port: port, receiveBuffer: 16_384)
      let field = "Range: bytes=0-3999999,5000000-8999999,10000000-11999999\r\n"
      try await slow.send(get("/f", field) + get("/f", "Range: bytes=-1\r\n"))
      for _ in 0..<10 {
        try await slow.receive(1000)
        try await Task.sleep(for: .milliseconds(10))
      }
      let parts = try await slow.response()
      #expect(parts.body.count > 10_000_000 && parts.body.count < 10_001_000)
      #expect(try await slow.response().body == [content[11_999_999]])
      let cut = try RawClient(port: port, receiveBuffer: 16_384)
      try await cut.send(get("/f", field))
      try await cut.receive(1000)
      #expect(truncate(file, 6_000_000) == 0)
      #expect(try await cut.receiveAll().count < 10_000_000)
    }
  }

  @Test("a file overwritten while a slow client receives it does not arrive whole")
  func overwritten() async throws {
    try await withServer { port, directory, _ in
      // More than a socket takes at once: over loopback, with its large segments, that is megabytes.
      let size = 12_000_000
      let file = try directory.write("f", content(size))
      try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 50))
      let slow = try RawClient(port: port, receiveBuffer: 16_384)
      try await slow.send(get("/f"))
      try await slow.receive(1000)
      let zeroes = [UInt8](repeating: 0, count: size)
      let descriptor = Descriptor(owning: open(file, O_WRONLY | O_CLOEXEC))
      #expect(pwrite(descriptor.number, zeroes, size, 0) == size)
      #expect(try await slow.receiveAll().count < size)
      // The next client gets the new bytes.
      try await Task.sleep(for: .milliseconds(ServerLimits.fileValidity_ms + 50))
      let next = try await RawClient(port: port).exchange(get("/f"))
      #expect(next.status == 200 && next.body == zeroes)
    }
  }
}
