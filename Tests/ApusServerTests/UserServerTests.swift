import Glibc
import Logging
import NIOCore
import Testing

@testable import ApusServer

/// A server on a loopback port of its own over a temporary directory, for the duration of `body`.
func withServer(
  _ configure: (inout UserServerConfiguration) -> Void = { _ in },
  _ body: (_ port: Int, _ directory: TemporaryDirectory, _ server: UserServer) async throws -> Void
) async throws {
  let directory = try TemporaryDirectory()
  var configuration = UserServerConfiguration()
  configuration.shutdownGrace_s = 1
  configure(&configuration)
  let server = UserServer(
    root: try DocumentRoot(path: directory.path), configuration: configuration, logger: Logger(label: "test"))
  do {
    let bound = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])
    try await body(bound[0].port!, directory, server)
  } catch {
    await server.shutDown()
    throw error
  }
  await server.shutDown()
}

func get(_ path: String, _ fields: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n" }

struct RefusedRequest: Sendable, CustomTestStringConvertible {
  let text: String
  let status: Int
  var testDescription: String { "\(status): \(text.prefix(60).debugDescription)" }

  init(_ text: String, _ status: Int) {
    self.text = text
    self.status = status
  }
}

let refusedRequests = [
  RefusedRequest("GET / HTTP/1.1\nHost: a\n\n", 400), RefusedRequest("GET / HTTP/1.1\r\n\r\n", 400),
  RefusedRequest("\u{16}\u{3}\u{1}", 400),
  RefusedRequest("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), RefusedRequest("GET / HTTP/2.0\r\n\r\n", 505),
  RefusedRequest("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
  RefusedRequest("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
  RefusedRequest("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
  RefusedRequest("GET /" + String(repeating: "a", count: 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
  RefusedRequest("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "a", count: 40_000) + "\r\n\r\n", 431),
  RefusedRequest("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
  RefusedRequest(
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "b", count: 100_000), 405),
  RefusedRequest("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 413),
  RefusedRequest("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 405),
]

@Suite("User server: answers")
struct UserServerAnswerTests {
  @Test("a file is answered with its head and bytes, again and again on one connection")
  func keepAlive() async throws {
    try await withServer { port, directory, server in
      try directory.write("a.css", "a{}")
      let client = try RawClient(port: port)
      for _ in 0..<3 {
        let before = time(nil)
        let response = try await client.exchange(get("/a.css"))
        let file = try DocumentRoot(path: directory.path).metadata(DocumentRootPath("/a.css".utf8))
        let expected = FileResponse(name: Array("a.css".utf8), metadata: file).head(persistent: true)
        var bytes = Array(response.head.utf8)
        let date = try #require(response.field("Date"))
        let second = try #require(HTTPDate.parse(date.utf8, now: 0))
        #expect((before - 1...time(nil)).contains(second))
        let offset = try #require(expected.dateOffset)
        bytes.replaceSubrange(offset..<offset + HTTPDate.length, with: HTTPDate.bytes(0))
        #expect(text(bytes) == text(expected.bytes))
        #expect(response.body == Array("a{}".utf8))
      }
      #expect(server.requests == 3)
      #expect(server.connections == 1)
    }
  }

  @Test("HEAD has the head of GET and no body, for small and large files and errors")
  func head() async throws {
    try await withServer { port, directory, _ in
      try directory.write("small", "abc")
      try directory.write("large", [UInt8](repeating: 1, count: 100_000))
      let client = try RawClient(port: port)
      for path in ["/small", "/large", "/nothing"] {
        let whole = try await client.exchange(get(path))
        let head = try await client.exchange("HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n", toHead: true)
        #expect(head.status == whole.status)
        #expect(head.field("Content-Length") == String(whole.body.count))
        #expect(head.field("ETag") == whole.field("ETag"))
      }
      #expect(client.received.isEmpty)
    }
  }

  @Test("conditional requests: 304 where nothing changed, the new version where something did")
  func conditions() async throws {
    try await withServer { port, directory, _ in
      for (name, size) in [("small", 10), ("large", 100_000)] {
        try directory.write(name, [UInt8](repeating: 1, count: size))
        let client = try RawClient(port: port)
        let first = try await client.exchange(get("/\(name)"))
        let tag = try #require(first.field("ETag"))
        let date = try #require(first.field("Last-Modified"))
        let byTag = try await client.exchange(get("/\(name)", "If-None-Match: \"x\", \(tag)\r\n"))
        #expect(byTag.status == 304)
        #expect(byTag.field("ETag") == tag)
        #expect(byTag.field("Content-Length") == nil)
        #expect(byTag.field("Connection") == "keep-alive")
        #expect(try await client.exchange(get("/\(name)", "If-Modified-Since: \(date)\r\n")).status == 304)
        #expect(
          try await client.exchange(get("/\(name)", "If-None-Match: \"x\"\r\nIf-Modified-Since: \(date)\r\n")).status
            == 200)
        // Another edit, in the same second as often as not, of the same size.
        try directory.write(name, [UInt8](repeating: 2, count: size))
        try await Task.sleep(for: .milliseconds(ServerLimits.fileValidity_ms + 50))
        let second = try await client.exchange(get("/\(name)", "If-None-Match: \(tag)\r\n"))
        #expect(second.status == 200)
        #expect(second.field("ETag") != tag)
        #expect(second.body == [UInt8](repeating: 2, count: size))
      }
    }
  }

  @Test("a replaced file is answered in time and never in a mixture of versions")
  func replaced() async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", [UInt8](repeating: 0, count: 20_000))
      let client = try RawClient(port: port)
      for version in UInt8(1)...12 {
        try directory.write("next", [UInt8](repeating: version, count: 20_000))
        try directory.move("next", to: "f")
        let clock = ContinuousClock()
        let end = clock.now + .seconds(1)
        var body: [UInt8]
        repeat {
          body = try await client.exchange(get("/f")).body
          #expect(body.count == 20_000 && body.allSatisfy { $0 == body[0] })
        } while body[0] != version && clock.now < end
        #expect(body[0] == version)
      }
    }
  }

  @Test("a removed file is gone, one that appears is there")
  func removed() async throws {
    try await withServer { port, directory, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/a")).status == 404)
      let file = try directory.write("a", "a")
      #expect(try await client.exchange(get("/a")).status == 200)
      unlink(file)
      try await Task.sleep(for: .milliseconds(ServerLimits.fileValidity_ms + 50))
      #expect(try await client.exchange(get("/a")).status == 404)
    }
  }

  @Test(
    "statuses by method and path, with the connection kept",
    arguments: [
      ("GET /nothing HTTP/1.1", 404), ("GET /../x HTTP/1.1", 400), ("GET /%00 HTTP/1.1", 400),
      ("GET /.git/config HTTP/1.1", 404), ("GET /out HTTP/1.1", 403), ("POST /f HTTP/1.1", 405),
      ("PUT /f HTTP/1.1", 405), ("DELETE /f HTTP/1.1", 405), ("TRACE /f HTTP/1.1", 405), ("BREW /f HTTP/1.1", 501),
      ("OPTIONS /f HTTP/1.1", 204), ("OPTIONS * HTTP/1.1", 204), ("GET /sub HTTP/1.1", 301),
      ("GET /sub/ HTTP/1.1", 200), ("GET http://a/f HTTP/1.1", 200), ("GET http://a HTTP/1.1", 404),
      ("GET /f?query HTTP/1.1", 200), ("GET /f HTTP/1.1\r\nRange: bytes=0-0", 206),
      ("GET /f HTTP/1.1\r\nIf-Match: \"x\"", 412), ("GET /f HTTP/1.1\r\nIf-Match: *", 200),
      ("GET /nothing HTTP/1.1\r\nIf-Match: *", 404),
    ])
  func statuses(line: String, status: Int) async throws {
    try await withServer { port, directory, _ in
      try directory.write("f", "file")
      try directory.makeDirectory("sub")
      try directory.write("sub/index.html", "index")
      try directory.link("out", to: "/etc/hostname")
      let client = try RawClient(port: port)
      let response = try await client.exchange("\(line)\r\nHost: a\r\n\r\n")
      #expect(response.status == status)
      #expect(response.field("Connection") == "keep-alive")
      #expect(response.field("Allow") == ([204, 405].contains(status) ? "GET, HEAD, OPTIONS" : nil))
      #expect(try await client.exchange(get("/f")).body == Array("file".utf8))
    }
  }

  @Test("a directory is redirected to its path with a slash, the query kept, and never to another host")
  func redirects() async throws {
    try await withServer { port, directory, _ in
      try directory.makeDirectory("sub dir")
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/sub%20dir?a=b")).field("Location") == "/sub%20dir/?a=b")
      #expect(try await client.exchange(get("//sub%20dir")).field("Location") == "/sub%20dir/")
    }
  }

  @Test(
    "what is no request is refused and the connection closed", arguments: refusedRequests)
  func refused(_ request: RefusedRequest) async throws {
    try await withServer { port, _, _ in
      let client = try RawClient(port: port)
      let response = try await client.exchange(request.text)
      #expect(response.status == request.status)
      #expect(response.field("Connection") == "close")
      #expect(try await client.receiveAll().isEmpty)
    }
  }
}
