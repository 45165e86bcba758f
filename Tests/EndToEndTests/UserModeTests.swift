import TestSupport
import Testing

extension EndToEnd {
  /// The same requests with nothing of ours in the kernel.
  @Suite struct UserMode {
    @Test(arguments: RequestHead.all)
    func `a real client's head is answered`(_ head: RequestHead) throws {
      try Bench.user { bench in
        let client = try bench.connect()
        for path in [Site.small, Site.large, Site.empty] {
          try client.send(head.text(path))
          expectFile(try client.readResponse(), path)
        }
      }
    }

    @Test func `requests split, pipelined, HEAD, conditional and closing`() throws {
      try Bench.user { bench in
        let client = try bench.connect()
        let head = Array(RequestHead.firefox.text(Site.other).utf8)
        for cut in [1, head.count / 2, head.count - 1] {
          try client.send(Array(head[..<cut]))
          pause(seconds: 0.02)
          try client.send(Array(head[cut...]))
          expectFile(try client.readResponse(), Site.other)
        }
        let targets = [Site.small, Site.large, Site.other, Site.empty]
        try client.send(targets.map { RequestHead.curl.text($0) }.joined())
        for target in targets { expectFile(try client.readResponse(), target) }

        let full = try client.get(Site.small)
        try client.send("HEAD /small.html HTTP/1.1\r\nHost: apus.test\r\n\r\n")
        #expect(withoutDate(try client.readResponse(to: "HEAD").head) == withoutDate(full.head))
        let tag = try #require(full["etag"])
        #expect(try client.get(Site.small, fields: "If-None-Match: \(tag)\r\n").status == 304)
        expectFile(try client.get(Site.small, fields: "Connection: close\r\n"), Site.small)
        #expect(try client.isClosedByServer())
      }
    }

    @Test func `ab and wrk are answered without a failure`() throws {
      try Bench.user { bench in
        for tool in ["ab", "wrk"] where try !CommandResult.run(["sh", "-c", "command -v \(tool)"]).succeeded {
          throw SupportError("\(tool) is not installed (Scripts/test installs what the tests need)")
        }
        for keepAlive in [false, true] {
          let result = try bench.network.client.ab(
            bench.origin() + Site.small, requests: 1000, concurrency: 8, keepAlive: keepAlive)
          #expect(result.requests == 1000)
          #expect(result.failures == 0, "\(result.output)")
        }
        let result = try bench.network.client.wrk(bench.origin() + Site.small, connections: 8, duration_s: 1)
        #expect(result.requests > 100)
        #expect(result.failures == 0, "\(result.output)")
      }
    }

    @Test func `a file replaced by rename is served within a second, whole`() throws {
      let directory = try ScratchDirectory("changing")
      try expectReplacementSeen(in: directory) { body in
        try Bench.user(root: directory.path, body)
      }
    }
  }
}
