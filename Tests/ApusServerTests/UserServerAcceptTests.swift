import Testing

@testable import ApusServer

/// What a client has sent before its connection is accepted is read with it, before the event loop watches the socket.
@Suite("User server: what comes with a connection")
struct UserServerAcceptTests {
  static let large = [UInt8](repeating: 0x61, count: 20_000_000)

  /// Has a connection accepted only when what it is to send has come: until then others take the places.
  ///
  /// - Parameters:
  ///   - early: sent before.
  ///   - body: gets the client when it has been accepted.
  private func accepted(
    with early: String, endsSending: Bool = false, _ body: (_ client: RawClient) async throws -> Void
  ) async throws {
    try await withServer {
      // More than the client's own: at the limit an idle connection would be closed after a second.
      $0.connectionsMax = 3
    } _: { port, directory, server in
      try directory.write("f", "file")
      try directory.write("large", Self.large)
      // Halves of requests: their places are not to be had before they go. Each event loop's listener was waiting
      // already and takes one connection, whatever the limit; several make it likely that all have.
      var holders: [RawClient] = []
      for _ in 0..<8 {
        let holder = try RawClient(port: port)
        try await holder.send("GET /f HTTP/1.1\r\nHo")
        try await Task.sleep(for: .milliseconds(5))
        holders.append(holder)
      }
      let client = try RawClient(port: port)
      try await client.send(early)
      if endsSending { client.shutDownSending() }
      try await Task.sleep(for: .milliseconds(20))
      holders = []
      try await body(client)
      for _ in 0..<2000 where server.connections > 0 { try await Task.sleep(for: .milliseconds(1)) }
      #expect(server.connections == 0, "nothing is left of it")
    }
  }

  @Test(
    "the only request: answered, and closed",
    arguments: ["HTTP/1.0\r\n", "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"])
  func only(fields: String) async throws {
    try await accepted(with: "GET /f \(fields)\r\n") { client async throws in
      let response = try await client.response()
      #expect(response.status == 200)
      #expect(response.body == Array("file".utf8))
      #expect(try await client.receiveAll().isEmpty)
    }
    try await accepted(with: "HEAD /f \(fields)\r\n") { client async throws in
      #expect(try await client.response(toHead: true).status == 200)
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("the first of several: the connection stays, and is served like any other")
  func first() async throws {
    try await accepted(with: get("/f")) { client async throws in
      #expect(try await client.response().status == 200)
      for _ in 0..<3 { #expect(try await client.exchange(get("/f")).body == Array("file".utf8)) }
      #expect(try await client.exchange(get("/f", "Connection: close\r\n")).status == 200)
      #expect(try await client.receiveAll().isEmpty)
    }
    try await accepted(with: get("/f") + get("/none") + get("/f", "Connection: close\r\n")) { client async throws in
      for status in [200, 404, 200] { #expect(try await client.response().status == status) }
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("a part of a request, or nothing: the rest is waited for", arguments: [0, 1, 18, 22])
  func part(count: Int) async throws {
    let request = get("/f", "Connection: close\r\n")
    try await accepted(with: String(request.prefix(count))) { client async throws in
      try await client.send(String(request.dropFirst(count)))
      #expect(try await client.response().body == Array("file".utf8))
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("more than one read takes: the head that is too long is told so")
  func tooLong() async throws {
    try await accepted(with: "GET /f HTTP/1.1\r\nX: " + String(repeating: "x", count: 60_000) + "\r\n\r\n") {
      client async throws in
      #expect(try await client.response().status == 431)
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("an answer the socket does not take at once arrives whole", arguments: [true, false])
  func large(isLast: Bool) async throws {
    try await accepted(with: get("/large", isLast ? "Connection: close\r\n" : "")) { client async throws in
      #expect(try await client.response().body == Self.large)
      if !isLast { #expect(try await client.exchange(get("/f", "Connection: close\r\n")).status == 200) }
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("an answer to what the client has not finished sending is not lost in a reset")
  func lingering() async throws {
    let body = String(repeating: "b", count: 100_000)
    let request = "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body
    try await accepted(with: request) { client async throws in
      try await client.send(body)
      #expect(try await client.response().status == 405)
      #expect(try await client.receiveAll().isEmpty)
    }
  }

  @Test("a client that has nothing more to say gets its answers; one that said nothing is let go")
  func ended() async throws {
    try await accepted(with: get("/f") + get("/f"), endsSending: true) { client async throws in
      for _ in 0..<2 { #expect(try await client.response().status == 200) }
      #expect(try await client.receiveAll().isEmpty)
    }
    try await accepted(with: "", endsSending: true) { client async throws in
      #expect(try await client.receiveAll().isEmpty)
    }
  }
}
