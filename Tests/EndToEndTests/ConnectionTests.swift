import TestSupport
import Testing

extension EndToEnd {
  /// What happens on one keep-alive connection.
  @Suite(.kernelMode) struct Connections {
    @Test func `hit, hit, miss: the third goes to the built-in server`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let client = try bench.connect()
        for path in [Site.small, Site.small, Site.large] { expectFile(try client.get(path), path) }
        let after = try bench.apus.status()
        #expect(after.mode == "kernel")
        #expect(after.hits == before.hits + 2)
        #expect(after.handovers == before.handovers + 1)
        // The connection is the user-mode server's now and goes on.
        expectFile(try client.get(Site.small), Site.small)
        #expect(try bench.apus.status().hits == after.hits)
      }
    }

    /// A request the kernel part does not answer.
    struct Miss: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var request: String
      var target: String
      var method = "GET"
      var status = 200
    }

    static let misses = [
      Miss(
        testDescription: "a query", request: "GET /small.html?version=2 HTTP/1.1\r\nHost: apus.test\r\n\r\n",
        target: "/small.html?version=2"),
      Miss(
        testDescription: "a file too large", request: "GET /large.bin HTTP/1.1\r\nHost: apus.test\r\n\r\n",
        target: "/large.bin"),
      Miss(
        testDescription: "a POST",
        request: "POST /small.html HTTP/1.1\r\nHost: apus.test\r\nContent-Length: 5\r\n\r\nhello",
        target: "/small.html", method: "POST", status: 405),
    ]

    @Test(arguments: misses)
    func `hit, hit, miss: an unmodified nginx answers on the same connection`(_ miss: Miss) throws {
      try Bench.kernel(backend: true, warm: [Site.small]) { bench in
        let before = try bench.apus.status().hits
        let logged = try bench.clientLog().count
        let client = try bench.connect()
        for _ in 0..<2 { expectFile(try client.get(Site.small), Site.small) }
        #expect(try bench.clientLog().count == logged, "nginx saw a request that the kernel part answered")
        #expect(try bench.apus.status().hits == before + 2)

        try client.send(miss.request)
        #expect(try client.readResponse().status == miss.status)
        expectFile(try client.get(Site.other), Site.other)
        let new = try bench.clientLog().dropFirst(logged)
        #expect(new.map(\.target) == [miss.target, Site.other])
        #expect(new.map(\.method) == [miss.method, "GET"])
        #expect(new.map(\.requestOfConnection) == [1, 2], "both on the connection nginx was given")
        #expect(try bench.apus.status().hits == before + 2)
      }
    }

    @Test func `the time a client takes for its request is no round trip to the server behind`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        for hits in 0..<2 {
          let client = try bench.connect()
          for _ in 0..<hits { expectFile(try client.get(Site.small), Site.small) }
          pause(seconds: 2)
          expectFile(try client.get("\(Site.small)?query"), Site.small)
          let report = try bench.network.server.run(["ss", "-tinH", "dport", "=", ":\(client.localPort)"]).output
          // The kernel's smoothed round trip time (RFC 6298), in milliseconds.
          let field = try #require(report.split(separator: " ").first { $0.hasPrefix("rtt:") })
          let roundTrip_ms = try #require(field.dropFirst(4).split(separator: "/").first.flatMap { Double($0) })
          #expect(roundTrip_ms < 500, "\(report)")
        }
      }
    }

    @Test func `an answer of the kernel part is the user half's, Date aside`() throws {
      try Bench.kernel { bench in
        for path in [Site.small, Site.other, Site.empty] {
          let first = try bench.connect().get(path)
          try bench.apus.warm([path], over: bench.network)
          let before = try bench.apus.status().hits
          let hit = try bench.connect().get(path)
          #expect(try bench.apus.status().hits == before + 1)
          #expect(withoutDate(hit.head) == withoutDate(first.head))
          #expect(hit["date"] != nil)
          expectFile(hit, path)
        }
      }
    }

    @Test func `an answer of the kernel part is nginx's own, Date aside`() throws {
      try Bench.kernel(backend: true, warm: [Site.small, Site.other]) { bench in
        for path in [Site.small, Site.other] {
          let own = try RawClient(bench.network, port: 8081).get(path)
          let before = try bench.apus.status().hits
          let hit = try bench.connect().get(path)
          #expect(try bench.apus.status().hits == before + 1)
          #expect(withoutDate(hit.head) == withoutDate(own.head))
          expectFile(hit, path)
        }
      }
    }

    @Test func `5 MB come whole on a connection that was handed over`() throws {
      try Bench.kernel(backend: true, warm: [Site.small]) { bench in
        let client = try bench.connect()
        expectFile(try client.get(Site.small), Site.small)
        for _ in 0..<3 { expectFile(try client.get(Site.large), Site.large) }
        expectFile(try client.get(Site.small), Site.small)
      }
    }

    @Test func `a body of 900 KB arrives whole`() throws {
      try Bench.kernel(backend: true, warm: [Site.small]) { bench in
        let body = Site.shared.body(Site.large).prefix(900_000)
        let client = try bench.connect()
        expectFile(try client.get(Site.small), Site.small)
        try client.send("PUT /uploads/picture HTTP/1.1\r\nHost: apus.test\r\nContent-Length: \(body.count)\r\n\r\n")
        try client.send(Array(body))
        #expect(try client.readResponse().status == 201)
        let arrived = try bench.nginx!.upload("picture") == Array(body)
        #expect(arrived, "what nginx stored is what was sent")

        let other = try bench.connect()
        let head = "POST /small.html HTTP/1.1\r\nHost: apus.test\r\nContent-Length: \(body.count)\r\n\r\n"
        try other.send(Array(head.utf8) + body)
        #expect(try other.readResponse().status == 405)
      }
    }

    @Test func `the client may close its half first`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let client = try bench.connect()
        try client.send("GET /small.html HTTP/1.1\r\nHost: apus.test\r\n\r\n")
        client.finish()
        expectFile(try client.readResponse(), Site.small)
        #expect(try client.isClosedByServer())
      }
    }

    @Test func `a hundred connections at once keep their answers apart`() throws {
      let targets = [Site.small, Site.other, Site.empty]
      try Bench.kernel(warm: targets) { bench in
        let before = try bench.apus.status().hits
        let clients = try (0..<100).map { _ in try bench.connect() }
        for round in 0..<3 {
          for (number, client) in clients.enumerated() {
            try client.send("GET \(targets[(number + round) % 3]) HTTP/1.1\r\nHost: apus.test\r\n\r\n")
          }
          for (number, client) in clients.enumerated() {
            expectFile(try client.readResponse(), targets[(number + round) % 3])
          }
        }
        #expect(try bench.apus.status().hits == before + 300)
      }
    }
  }
}
