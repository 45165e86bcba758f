import TestSupport
import Testing

extension EndToEnd {
  /// Requests as they come on the wire, one bench for each.
  @Suite(.kernelMode) struct Requests {
    @Test(arguments: RequestHead.all)
    func `a real client's head is answered by the kernel part`(_ head: RequestHead) throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let client = try bench.connect()
        for _ in 0..<3 {
          try client.send(head.text(Site.small))
          expectFile(try client.readResponse(), Site.small)
        }
        let after = try bench.apus.status()
        #expect(after.hits == before.hits + 3, "handed over: \(after.kernel?.handovers ?? [:])")
      }
    }

    @Test func `a head split over two segments is answered by the server behind`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let head = Array(RequestHead.chrome.text(Site.small).utf8)
        for cut in [1, 5, 20, head.count / 2, head.count - 1] {
          let before = try bench.apus.status()
          let client = try bench.connect()
          try client.send(Array(head[..<cut]))
          pause(seconds: 0.05)
          try client.send(Array(head[cut...]))
          expectFile(try client.readResponse(), Site.small)
          expectFile(try client.get(Site.small), Site.small)
          let after = try bench.apus.status()
          #expect(after.hits == before.hits)
          #expect(after.handovers == before.handovers + 1)
        }
      }
    }

    @Test func `two requests in one segment are answered in order`() throws {
      try Bench.kernel(warm: [Site.small, Site.other]) { bench in
        for targets in [[Site.small, Site.other], [Site.other, Site.large, Site.small], [Site.empty, Site.empty]] {
          let client = try bench.connect()
          try client.send(targets.map { RequestHead.curl.text($0) }.joined())
          for target in targets { expectFile(try client.readResponse(), target) }
        }
      }
    }

    @Test func `HEAD has the head of GET and no body`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let client = try bench.connect()
        let get = try client.get(Site.small)
        try client.send("HEAD /small.html HTTP/1.1\r\nHost: apus.test\r\n\r\n")
        let head = try client.readResponse(to: "HEAD")
        #expect(withoutDate(head.head) == withoutDate(get.head))
        // A body would now be read as the beginning of this response.
        expectFile(try client.get(Site.small), Site.small)
      }
    }

    @Test func `Connection: close is answered and the connection closed`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let client = try bench.connect()
        let response = try client.get(Site.small, fields: "Connection: close\r\n")
        expectFile(response, Site.small)
        #expect(!response.persists)
        #expect(try client.isClosedByServer())
        #expect(try bench.apus.status().hits == before.hits + 1)
      }
    }

    @Test func `HTTP/1.0 closes unless the client asks to keep the connection`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let closing = try bench.connect()
        try closing.send("GET /small.html HTTP/1.0\r\n\r\n")
        expectFile(try closing.readResponse(), Site.small)
        #expect(try closing.isClosedByServer())

        let persistent = try bench.connect()
        for _ in 0..<2 {
          try persistent.send("GET /small.html HTTP/1.0\r\nHost: apus.test\r\nConnection: Keep-Alive\r\n\r\n")
          let response = try persistent.readResponse()
          expectFile(response, Site.small)
          #expect(response.persists)
        }
        #expect(try bench.apus.status().hits == before.hits + 3)
      }
    }

    @Test func `a conditional request for what the client has gets 304`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let client = try bench.connect()
        let full = try client.get(Site.small)
        let tag = try #require(full["etag"])
        let modified = try #require(full["last-modified"])
        for fields in ["If-None-Match: \(tag)\r\n", "If-Modified-Since: \(modified)\r\n"] {
          let response = try client.get(Site.small, fields: fields)
          #expect(response.status == 304)
          #expect(response["etag"] == tag)
          #expect(response.body.isEmpty)
        }
        expectFile(try client.get(Site.small, fields: "If-None-Match: \"another\"\r\n"), Site.small)
      }
    }

    @Test func `a missing file is 404, again and again`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        for _ in 0..<3 {
          let client = try bench.connect()
          expectFile(try client.get(Site.small), Site.small)
          #expect(try client.get("/no-such-page.html").status == 404)
          expectFile(try client.get(Site.small), Site.small)
        }
      }
    }

    @Test func `what leads out of the root is not served`() throws {
      try Bench.kernel { bench in
        for target in ["/../etc/passwd", "/%2e%2e/etc/passwd", "/styles/../../etc/passwd", "//etc/passwd"] {
          let response = try bench.connect().get(target)
          #expect((400..<500).contains(response.status), "\(target)")
        }
      }
    }
  }
}
