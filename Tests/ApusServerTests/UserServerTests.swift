import Glibc
import Logging
import NIOCore
import ServiceLifecycle
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
      ("GET /f?query HTTP/1.1", 200), ("GET /f HTTP/1.1\r\nRange: bytes=0-0", 200),
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

@Suite("User server: time and shutdown")
struct UserServerLifeTests {
  @Test("a head that does not end is answered 408, an idle connection is closed, a stalled one too")
  func timeouts() async throws {
    let configure = { (configuration: inout UserServerConfiguration) in
      configuration.headTimeout_s = 1
      configuration.idleTimeout_s = 1
      configuration.writeStallTimeout_s = 2
    }
    try await withServer(configure) { port, directory, server in
      try directory.write("f", "file")
      try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
      let partial = try RawClient(port: port)
      try await partial.send("GET / HTTP/1.1\r\n")
      let idle = try RawClient(port: port)
      #expect(try await idle.exchange(get("/f")).status == 200)
      let silent = try RawClient(port: port)
      let stalled = try RawClient(port: port, receiveBuffer: 4096)
      try await stalled.send(get("/large"))
      #expect(try await partial.response().status == 408)
      #expect(try await partial.receiveAll().isEmpty)
      #expect(try await idle.receiveAll().isEmpty)
      #expect(try await silent.receiveAll().isEmpty)
      try await Task.sleep(for: .seconds(4))
      #expect(try await stalled.receiveAll().count < 20_000_000)
      #expect(server.connections == 0)
    }
  }

  @Test("graceful shutdown: idle connections end at once, busy ones after their answer, new ones are refused")
  func shutdown() async throws {
    let directory = try TemporaryDirectory()
    try directory.write("f", "file")
    try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
    var configuration = UserServerConfiguration()
    configuration.shutdownGrace_s = 60
    let logger = Logger(label: "test")
    let server = UserServer(
      root: try DocumentRoot(path: directory.path), configuration: configuration, logger: logger)
    let port = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])[0].port!
    let services = ServiceGroup(services: [server], logger: logger)
    let running = Task { try await services.run() }
    let idle = try RawClient(port: port)
    #expect(try await idle.exchange(get("/f")).status == 200)
    let busy = try RawClient(port: port, receiveBuffer: 16_384)
    try await busy.send(get("/large") + get("/f"))
    try await busy.receive(1000)
    await services.triggerGracefulShutdown()
    #expect(try await idle.receiveAll().isEmpty)
    #expect(throws: RawClient.Failure.self) { try RawClient(port: port) }
    #expect(try await busy.response().body.count == 20_000_000)
    #expect(try await busy.response().field("Connection") == "close")
    #expect(try await busy.receiveAll().isEmpty)
    let clock = ContinuousClock()
    let start = clock.now
    try await running.value
    #expect(clock.now - start < .seconds(30), "the grace need not be waited for")
  }

  @Test("shutdown closes what is still busy after the grace")
  func grace() async throws {
    let clock = ContinuousClock()
    var start = clock.now
    try await withServer { port, directory, _ in
      try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
      let busy = try RawClient(port: port, receiveBuffer: 16_384)
      try await busy.send(get("/large"))
      try await busy.receive(1000)
      start = clock.now
      // The server is shut down while this client does not read.
      withExtendedLifetime(busy) {}
    }
    // Long before the client would be taken for stalled.
    #expect(clock.now - start < .seconds(20))
  }

  @Test("an address in use is said to be")
  func addressInUse() async throws {
    try await withServer { port, directory, _ in
      let other = UserServer(root: try DocumentRoot(path: directory.path), logger: Logger(label: "test"))
      let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
      do {
        _ = try await other.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0), address])
        Issue.record("bound twice")
      } catch {
        #expect("\(error)" == "cannot listen on 127.0.0.1:\(port): address already in use")
      }
      await other.shutDown()
    }
  }

  @Test("beyond the limit connections wait, and come in when others end")
  func limit() async throws {
    try await withServer {
      $0.connectionsMax = 4
    } _: { port, directory, server in
      try directory.write("f", "file")
      var clients: [RawClient] = []
      // One wake accepts up to acceptsPerWake connections, so they come one after the other.
      for _ in 0..<4 {
        let client = try RawClient(port: port)
        #expect(try await client.exchange(get("/f")).status == 200)
        clients.append(client)
      }
      let waiting = try RawClient(port: port)
      try await waiting.send(get("/f"))
      try await Task.sleep(for: .milliseconds(200))
      let before = server.requests
      clients.removeFirst()
      #expect(try await waiting.response().status == 200)
      #expect(before <= 5)
    }
  }
}

@Suite("TCP relay")
struct TCPRelayTests {
  func withRelay(to backend: Int, _ body: (Int) async throws -> Void) async throws {
    var configuration = UserServerConfiguration()
    configuration.shutdownGrace_s = 1
    let relay = TCPRelay(
      backend: try SocketAddress(ipAddress: "127.0.0.1", port: backend), configuration: configuration,
      logger: Logger(label: "test"))
    do {
      let port = try await relay.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])[0].port!
      try await body(port)
    } catch {
      await relay.shutDown()
      throw error
    }
    await relay.shutDown()
  }

  @Test("bytes pass in both directions, large files and half-closes too")
  func relays() async throws {
    try await withServer { backend, directory, _ in
      let content = (0..<10_000_000).map { UInt8(truncatingIfNeeded: $0 >> 7) }
      try directory.write("large", content)
      try directory.write("f", "file")
      try await withRelay(to: backend) { port in
        let client = try RawClient(port: port, receiveBuffer: 65_536)
        #expect(try await client.exchange(get("/f")).body == Array("file".utf8))
        try await client.send(get("/large") + get("/f"))
        client.shutDownSending()
        #expect(try await client.response().body == content)
        #expect(try await client.response().body == Array("file".utf8))
        #expect(try await client.receiveAll().isEmpty)
      }
    }
  }

  @Test("without a backend the answer is 502 and the end")
  func badGateway() async throws {
    // A port that was free a moment ago.
    var port = 0
    try await withServer { own, _, _ in port = own }
    try await withRelay(to: port) { relay in
      let client = try RawClient(port: relay)
      let response = try await client.exchange(get("/f"))
      #expect(response.status == 502)
      #expect(response.field("Connection") == "close")
      #expect(try await client.receiveAll().isEmpty)
    }
  }
}
