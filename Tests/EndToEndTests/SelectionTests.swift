import TestSupport
import Testing

extension EndToEnd {
  /// HEAD, preconditions, content codings, 404 and 301: what the kernel part says is what the user half says.
  @Suite(.kernelMode) struct Selecting {
    /// A site with side-cars, an index, and a file larger than any answer of the kernel part.
    private static func site() throws -> ScratchDirectory {
      let directory = try ScratchDirectory("negotiated")
      let text = { (size: Int, first: Character) in
        (0..<size).map { first.asciiValue! + UInt8($0 % 23) }
      }
      try directory.write(text(900, "a"), to: "app.js")
      try directory.write(text(900, "a"), to: "plain.css")
      try directory.write(text(700, "A"), to: "image.png")
      try directory.write(text(800, "b"), to: "dir/index.html")
      try directory.write(text(60_000, "c"), to: "large.js")
      pause(seconds: 0.05)
      try directory.write(text(300, "B"), to: "app.js.br")
      try directory.write(text(400, "C"), to: "app.js.gz")
      try directory.write(text(350, "D"), to: "app.js.zst")
      try directory.write(text(500, "E"), to: "dir/index.html.gz")
      try directory.write(text(600, "F"), to: "large.js.br")
      pause(seconds: 1)
      return directory
    }

    private static let codings = [
      nil, "gzip, deflate, br, zstd", "gzip, deflate", "identity", "br;q=0.5, zstd;q=0.8", "*;q=0.1, gzip;q=0",
    ]
    private static let targets = [
      "/app.js", "/plain.css", "/image.png", "/dir/", "/dir", "/missing.css", "/missing.png",
    ]

    private static func request(_ method: String, _ target: String, _ fields: [String]) -> String {
      "\(method) \(target) HTTP/1.1\r\nHost: apus.test\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    }

    private static func exchange(_ client: RawClient, _ method: String, _ target: String, _ fields: [String]) throws
      -> HTTPResponse
    {
      try client.send(request(method, target, fields))
      return try client.readResponse(to: method)
    }

    /// Every method, coding and precondition, all of them answers to be had from the kernel part.
    private static func requests(_ full: (String, [String]) throws -> HTTPResponse) throws -> [(
      method: String, target: String, fields: [String]
    )] {
      var requests: [(method: String, target: String, fields: [String])] = []
      for target in targets {
        for coding in codings {
          let accept = coding.map { ["Accept-Encoding: \($0)"] } ?? []
          let response = try full(target, accept)
          let tag = response["etag"] ?? "\"none\""
          let conditions: [[String]] = [
            [], ["If-None-Match: \(tag)"], ["If-None-Match: W/\(tag)"], ["If-None-Match: *"],
            ["If-None-Match: \"other\", \(tag)"], ["If-None-Match: \"other\""],
            ["If-None-Match: \(tag)", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: max-age=0"],
            ["Connection: close"], ["If-None-Match: \(tag)", "Connection: close"],
          ]
          for fields in conditions {
            for method in ["GET", "HEAD"] { requests.append((method, target, accept + fields)) }
          }
          if let modified = response["last-modified"] {
            requests.append(("GET", target, accept + ["If-Modified-Since: \(modified)"]))
          }
        }
      }
      return requests
    }

    @Test func `the same head and bytes from both halves, all of them hits`() throws {
      let site = try Self.site()
      try Bench.user(root: site.path) { user in
        let ask = { (target: String, fields: [String]) in try Self.exchange(user.connect(), "GET", target, fields) }
        let requests = try Self.requests(ask)
        #expect(requests.count > 700)
        try Bench.kernel(root: site.path, warm: Self.targets) { kernel in
          let before = try kernel.apus.status()
          var notModified = 0
          var differing: [String] = []
          var (userClient, kernelClient) = (try user.connect(), try kernel.connect())
          for request in requests {
            let expected = try Self.exchange(userClient, request.method, request.target, request.fields)
            let answer = try Self.exchange(kernelClient, request.method, request.target, request.fields)
            if withoutDate(answer.head) != withoutDate(expected.head) || answer.body != expected.body {
              differing.append(Self.request(request.method, request.target, request.fields))
            }
            if answer.status == 304 { notModified += 1 }
            if !answer.persists { (userClient, kernelClient) = (try user.connect(), try kernel.connect()) }
          }
          #expect(differing.isEmpty, "\(differing.count), first: \(differing.first ?? "")")
          let after = try kernel.apus.status()
          #expect(after.hits == before.hits + requests.count, "\(after.changes(since: before))")
          #expect(notModified > 200 && after.kernel?.notModified == notModified)
          print(
            "selection: \(requests.count) requests, \(after.hits - before.hits) answered in the kernel, \(notModified) of them 304"
          )
        }
      }
    }

    @Test func `what is odd or not stored is handed over and answered the same`() throws {
      let site = try Self.site()
      let oddities: [(method: String, target: String, fields: [String])] = [
        ("GET", "/app.js", ["Accept-Encoding: gzip;q=1.001"]), ("GET", "/app.js", ["Accept-Encoding: br,,gzip"]),
        ("GET", "/app.js", ["Accept-Encoding: br", "Accept-Encoding: gzip"]), ("GET", "/large.js", []),
        ("GET", "/large.js", ["Accept-Encoding: br"]), ("HEAD", "/large.js", ["Accept-Encoding: gzip, br"]),
        ("GET", "/app.js", ["If-None-Match: x"]), ("GET", "/app.js", ["If-None-Match: *, \"x\""]),
        ("GET", "/app.js", ["If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"]),
        ("GET", "/app.js", ["If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"]), ("GET", "/app.js", ["If-Match: *"]),
        ("GET", "/app.js", ["If-Match: \"x\""]), ("GET", "/app.js?query", ["Accept-Encoding: br"]),
        ("GET", "/dir?query", []), ("GET", "/no-index/", []), ("GET", "/app.js", ["Connection: keep-alive, close"]),
        ("GET", "/app.js.br", ["Accept-Encoding: br"]), ("GET", "/missing.css", ["If-None-Match: *"]),
      ]
      try Bench.user(root: site.path) { user in
        try Bench.kernel(root: site.path, warm: Self.targets) { kernel in
          for request in oddities {
            for _ in 0..<2 {
              let expected = try Self.exchange(user.connect(), request.method, request.target, request.fields)
              let answer = try Self.exchange(kernel.connect(), request.method, request.target, request.fields)
              #expect(withoutDate(answer.head) == withoutDate(expected.head), "\(request)")
              let isSame = answer.body == expected.body
              #expect(isSame, "\(request)")
            }
          }
        }
      }
    }

    @Test func `a file that appears where there was none is seen within a second, a side-car too`() throws {
      let site = try Self.site()
      try Bench.kernel(root: site.path, warm: ["/later.css", "/plain.css"]) { bench in
        #expect(try bench.connect().get("/later.css").status == 404)
        try site.write(Array("here".utf8), to: "later.css")
        let isSeen = try eventually(timeout_s: 1, every: 0.02) { try bench.connect().get("/later.css").status == 200 }
        #expect(isSeen)
        try site.write(Array("coded".utf8), to: "plain.css.gz")
        let isCoded = try eventually(timeout_s: 1, every: 0.02) {
          try bench.connect().get("/plain.css", fields: "Accept-Encoding: gzip\r\n").body == Array("coded".utf8)
        }
        #expect(isCoded)
        #expect(try bench.connect().get("/plain.css")["vary"] == "Accept-Encoding")
      }
    }

    @Test func `a flood of made-up paths fills neither the store nor drives pages out`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        for number in 0..<3000 { _ = try bench.connect().get("/made-up/\(number)") }
        let before = try bench.apus.status()
        #expect(before.cache.bytes < 6 << 20, "\(before.cache)")
        expectFile(try bench.connect().get(Site.small), Site.small)
        #expect(try bench.apus.status().hits == before.hits + 1)
      }
    }

    @Test func `paths that are not selected are handed over`() throws {
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root,
          arguments: ["--kernel-only", ".html", "--kernel-only", "/styles/", "--kernel-never", "/styles/other"])
        try apus.warm([Site.small], over: network)
        let before = try apus.status()
        for _ in 0..<3 { expectFile(try RawClient(network).get(Site.other), Site.other) }
        pause(seconds: 0.5)
        expectFile(try RawClient(network).get(Site.other), Site.other)
        expectFile(try RawClient(network).get(Site.small), Site.small)
        #expect(try apus.status().hits == before.hits + 1)
      }
    }
  }
}
