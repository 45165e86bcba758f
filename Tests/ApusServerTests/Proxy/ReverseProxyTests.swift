import Foundation
import Glibc
import Testing

@testable import ApusServer

@Suite("Proxy: exchanges")
struct ReverseProxyTests {
  @Test("files come from the directory, all else from the upstream, on one connection and in order")
  func filesFirst() async throws {
    let upstream = ScriptedUpstream.answering(.ok("from the upstream"))
    try await withProxy(to: upstream.port) { port, directory in
      try directory.makeDirectory("with")
      try directory.write("with/index.html", "index")
      try directory.makeDirectory("without")
      let client = try RawClient(port: port)
      let targets = [
        ("/file", "directory"), ("/app", "upstream"), ("/file?q", "directory"), ("/with/", "index"),
        ("/without/", "upstream"), ("/without", "upstream"), ("/%00", "upstream"), ("/app/../file", "upstream"),
      ]
      for (target, body) in targets {
        let response = try await client.exchange(get(target))
        #expect(response.status == 200)
        #expect(text(response.body).hasSuffix(body), "\(target): \(text(response.body))")
      }
      #expect(try await client.exchange(get("/with")).status == 301)
      let pipelined = targets.map { get($0.0) }.joined()
      try await client.send(pipelined)
      for (_, body) in targets { #expect(text(try await client.response().body).hasSuffix(body)) }
      #expect(upstream.received.count == 1, "one kept connection carried them all")
      #expect(
        try await client.exchange("POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").body
          == Array("from the upstream".utf8))
    }
  }

  @Test("with files last every request is the upstream's")
  func allRequests() async throws {
    let upstream = ScriptedUpstream.answering(.ok("from the upstream"))
    try await withProxy(to: upstream.port, filesComeFirst: false) { port, _ in
      let client = try RawClient(port: port)
      #expect(text(try await client.exchange(get("/file")).body) == "from the upstream")
    }
  }

  @Test("the answer's head: end-to-end fields, Via, a Date where there was none, and its own framing")
  func responseHead() async throws {
    let upstream = ScriptedUpstream.answering(
      .init(
        "HTTP/1.1 418 I'm a teapot\r\nX-A: b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
          + "Keep-Alive: timeout=9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n"))
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      try await client.send(get("/app", "Connection: close\r\n"))
      let answer = text(try await client.receiveAll())
      let lines = answer.components(separatedBy: "\r\n")
      #expect(lines[0] == "HTTP/1.1 418 I'm a teapot")
      #expect(lines[1...3] == ["X-A: b", "Set-Cookie: a=1", "Set-Cookie: b=2"])
      #expect(lines[4].hasPrefix("Date: ") && !lines[4].contains("1970"))
      #expect(lines[5...7] == ["Via: 1.1 apus", "Transfer-Encoding: chunked", "Connection: close"])
      #expect(lines[8...] == ["", "5", "hello", "1", "!", "0", "", ""])
      // HTTP/1.0 gets the bytes alone, and the end.
      let old = try RawClient(port: port)
      try await old.send("GET /app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      let oldAnswer = text(try await old.receiveAll())
      #expect(oldAnswer.hasSuffix("Connection: close\r\n\r\nhello!") && !oldAnswer.contains("chunked"))
    }
  }

  @Test("HEAD, 204 and 304 have no body, and the connections go on")
  func bodiless() async throws {
    let upstream = ScriptedUpstream { received, _ in
      guard received.hasSuffix("\r\n\r\n") else { return nil }
      if received.hasPrefix("HEAD") { return .init("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n") }
      if received.contains("/204") { return .init("HTTP/1.1 204 No Content\r\n\r\n") }
      return .init("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n")
    }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      let head = try await client.exchange("HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n", toHead: true)
      #expect(head.field("Content-Length") == "77")
      #expect(try await client.exchange(get("/204")).status == 204)
      #expect(try await client.exchange(get("/304")).field("ETag") == "\"x\"")
      #expect(client.received.isEmpty && upstream.received.count == 1)
    }
  }

  @Test("nobody there: 502; broken off in its head: 502; broken off in its body: so is the answer")
  func failures() async throws {
    try await withProxy(to: unusedPort()) { port, _ in
      let client = try RawClient(port: port)
      for _ in 0..<2 { #expect(try await client.exchange(get("/app")).status == 502) }
      #expect(text(try await client.exchange(get("/file")).body) == "from the directory")
    }
    let inHead = ScriptedUpstream.answering(.init("HTTP/1.1 200 OK\r\nContent-", closes: true))
    try await withProxy(to: inHead.port) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/app")).status == 502)
      #expect(inHead.received.count == 1, "answered in part, so not asked again")
    }
    for framing in ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
      let inBody = ScriptedUpstream.answering(.init("HTTP/1.1 200 OK\r\n\(framing)", closes: true))
      try await withProxy(to: inBody.port) { port, _ in
        let client = try RawClient(port: port)
        try await client.send(get("/app"))
        let answer = text(try await client.receiveAll())
        #expect(answer.contains("half") && !answer.contains("0\r\n\r\n"))
      }
    }
  }

  @Test("a kept connection that turns out to be closed costs nobody an answer, unless the request must not be repeated")
  func staleConnections() async throws {
    let upstream = ScriptedUpstream { received, connection in
      guard received.hasSuffix("\r\n\r\n") || received.hasSuffix("body") else { return nil }
      // The first connection serves once, and closes when it is asked again.
      return connection == 0 && received.contains("second") ? .init("", closes: true) : .ok("fine")
    }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/first")).status == 200)
      #expect(try await client.exchange(get("/second")).status == 200)
      #expect(upstream.received.count == 2)
    }
    let posts = ScriptedUpstream { received, connection in
      received.contains("second") ? .init("", closes: true) : received.hasSuffix("\r\n\r\n") ? .ok("fine") : nil
    }
    try await withProxy(to: posts.port) { port, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/first")).status == 200)
      let post = "POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
      #expect(try await client.exchange(post).status == 502)
      #expect(posts.received.count { $0.contains("/second") } == 1)
    }
  }

  @Test("Expect: 100-continue is answered when the upstream is there")
  func expectContinue() async throws {
    let upstream = ScriptedUpstream { received, _ in received.hasSuffix("body") ? .ok("done") : nil }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("PUT /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
      #expect(try await client.response().status == 100)
      try await client.send("body")
      #expect(text(try await client.response().body) == "done")
      #expect(!upstream.received[0].contains("Expect"))
    }
    try await withProxy(to: unusedPort()) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("PUT /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
      #expect(try await client.response().status == 502)
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("an answer before the end of the body ends the connection, not the answer")
  func earlyAnswer() async throws {
    let upstream = ScriptedUpstream { received, _ in
      received.contains("\r\n\r\n")
        ? .init("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno", closes: true) : nil
    }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
      let response = try await client.response()
      #expect(response.status == 413 && text(response.body) == "no")
      #expect(response.field("Connection") == "keep-alive" || response.field("Connection") == "close")
      client.shutDownSending()
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("WebSocket: after 101 bytes pass both ways until one side ends")
  func webSocket() async throws {
    let upstream = ScriptedUpstream { received, _ in
      if received.hasSuffix("\r\n\r\n") {
        return .init(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhi"
        )
      }
      return received == "bye" ? .init("bye", closes: true) : .init("echo \(received)")
    }
    try await withProxy(to: upstream.port) { port, _ in
      let client = try RawClient(port: port)
      let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
      let response = try await client.exchange(get("/socket", fields))
      #expect(response.status == 101)
      #expect(response.field("Upgrade") == "websocket" && response.field("Connection") == "Upgrade")
      #expect(response.field("Sec-WebSocket-Accept") == "x")
      #expect(upstream.received[0].contains("Sec-WebSocket-Key: k\r\n"))
      while client.received.count < 2 { try await client.receive() }
      #expect(text(client.received) == "hi")
      try await client.send("GET / HTTP/1.1\r\n")
      while client.received.count < 23 { try await client.receive() }
      #expect(text(client.received) == "hiecho GET / HTTP/1.1\r\n")
      try await client.send("bye")
      #expect(text(try await client.receiveAll()).hasSuffix("bye"))
    }
  }

  @Test("a client that goes away takes its request with it")
  func clientGone() async throws {
    let upstream = ScriptedUpstream { _, _ in nil }
    try await withProxy(to: upstream.port) { port, _ in
      do {
        let client = try RawClient(port: port)
        try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        while upstream.received.joined().isEmpty { try await Task.sleep(for: .milliseconds(5)) }
      }
      // Others are served meanwhile and after.
      let other = try RawClient(port: port)
      #expect(text(try await other.exchange(get("/file")).body) == "from the directory")
    }
  }
}
