import Foundation
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

    @Test func `parts of files, one and several, and no more than there is`() throws {
      try Bench.user { bench in
        let client = try bench.connect()
        for path in [Site.small, Site.large] {
          let body = Site.shared.body(path)
          let part = try client.get(path, fields: "Range: bytes=100-299\r\n")
          #expect(part.status == 206)
          #expect(part["content-range"] == "bytes 100-299/\(body.count)")
          #expect(part.body == Array(body[100..<300]))
          let parts = try client.get(path, fields: "Range: bytes=0-9, -10\r\n")
          #expect(parts["content-type"]?.hasPrefix("multipart/byteranges; boundary=") == true)
          let beyond = try client.get(path, fields: "Range: bytes=\(body.count)-\r\n")
          #expect(beyond.status == 416)
          #expect(beyond["content-range"] == "bytes */\(body.count)")
          expectFile(try client.get(path), path)
        }
      }
    }

    @Test func `curl goes on with a download that was cut off`() throws {
      try Bench.user { bench in
        let directory = try ScratchDirectory("resumed")
        let body = Site.shared.body(Site.large)
        try directory.write(Array(body[..<1_234_567]), to: "large.bin")
        let command = ["curl", "-sS", "-C", "-", "-o", directory.path(of: "large.bin")]
        try bench.network.client.run(command + [bench.origin() + Site.large], timeout_s: 20).orThrow()
        let same = try Array(Data(contentsOf: URL(fileURLWithPath: directory.path(of: "large.bin")))) == body
        #expect(same)
      }
    }

    @Test func `--listing lists, and only then`() throws {
      let directory = try ScratchDirectory("listed")
      try directory.write(Array("abc".utf8), to: "sub/a file.txt")
      try directory.write(Array("abc".utf8), to: "sub/.hidden")
      try Bench.user(root: directory.path, arguments: ["--listing"]) { bench in
        let client = try bench.connect()
        let page = try client.get("/sub/")
        #expect(page.status == 200)
        let text = String(decoding: page.body, as: UTF8.self)
        #expect(text.contains("<a href=\"a%20file.txt\">a file.txt</a>"))
        #expect(!text.contains("hidden"))
        let json = try client.get("/sub/", fields: "Accept: application/json\r\n")
        #expect(json["content-type"] == "application/json")
        let entries = try JSONSerialization.jsonObject(with: Data(json.body)) as? [[String: Any]]
        #expect(entries?.count == 1 && entries?[0]["size"] as? Int == 3)
        #expect(try client.get("/sub/a%20file.txt").status == 200)
      }
      try Bench.user(root: directory.path) { bench in
        let client = try bench.connect()
        #expect(try client.get("/sub/").status == 404)
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
