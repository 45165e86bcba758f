import TestSupport
import Testing

extension EndToEnd {
  /// `apus serve --config`, `apus reload` and SIGHUP.
  @Suite struct Reload {
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory("reload") }

    private func write(_ text: String) throws { try directory.replace("apus.yaml", with: text.utf8) }

    private func rule(_ value: String) -> String {
      "site:\n  headers:\n    - {path: '*.html', fields: {X-Version: \(value)}}\n"
    }

    @Test func `in kernel mode the next request of a kept connection is answered by the new rules, still a hit`() throws
    {
      try write(rule("one"))
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, arguments: ["--config", directory.path(of: "apus.yaml")])
        try apus.warm([Site.small], over: network)
        let client = try RawClient(network)
        #expect(try client.get(Site.small)["x-version"] == "one")
        let hits = try apus.status().hits
        for (index, version) in ["two", "three"].enumerated() {
          try write(rule(version))
          #expect(try apus.control("reload").succeeded)
          // What was composed by the old rules is not answered any more, on connections that were open before either.
          #expect(try client.get(Site.small)["x-version"] == version)
          try apus.warm([Site.small], over: network)
          #expect(try client.get(Site.small)["x-version"] == version)
          let fresh = try RawClient(network)
          #expect(try fresh.get(Site.small)["x-version"] == version)
          #expect(try apus.status().hits > hits + index, "answered in the kernel again")
        }
        #expect(apus.process.poll() == nil)
      }
    }

    @Test func `a client that is denied from now on gets no answer in the kernel, and one that is allowed again does`()
      throws
    {
      try write("")
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, arguments: ["--config", directory.path(of: "apus.yaml")])
        try apus.warm([Site.small], over: network)
        #expect(try RawClient(network).get(Site.small).status == 200)
        try write("deny: \(network.clientAddress)")
        #expect(try apus.control("reload").succeeded)
        #expect(throws: (any Error).self) {
          try RawClient(network, timeout_s: 1).get(Site.small)
        }
        try write("allow: \(network.clientAddress)/24")
        #expect(try apus.control("reload").succeeded)
        #expect(try RawClient(network).get(Site.small).status == 200)
      }
    }

    @Test func `hosts get their own roots, and lose them`() throws {
      try write("")
      try directory.write("their own".utf8, to: "own/small.html")
      pause(seconds: 2.5)
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, arguments: ["--config", directory.path(of: "apus.yaml")])
        try apus.warm([Site.small], over: network)
        func body(_ host: String) throws -> Int {
          let client = try RawClient(network)
          try client.send("GET \(Site.small) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
          return try client.readResponse().body.count
        }
        let (common, own) = (Site.shared.body(Site.small).count, 9)
        for hasHosts in [false, true, false, true] {
          try write(hasHosts ? "hosts: [{names: own.test, directory: own}]" : "")
          #expect(try apus.control("reload").succeeded)
          for _ in 0..<20 {
            #expect(try body("own.test") == (hasHosts ? own : common))
            #expect(try body("other.test") == common)
          }
        }
      }
    }

    @Test func `what is wrong changes nothing and is said, with file and line`() throws {
      try write(rule("one"))
      try Bench.user(arguments: ["--config", directory.path(of: "apus.yaml")]) { bench in
        let client = try bench.connect()
        #expect(try client.get(Site.small)["x-version"] == "one")
        for (text, problem) in [
          ("mode: user\nsite: {listin: true}", "apus.yaml:2: there is no setting 'listin' here"),
          ("cache-size: 1M", "cache-size cannot change while Apus runs"),
          ("hosts: [{names: a, directory: nowhere}]", "No such file or directory"),
        ] {
          try write(text)
          let result = try bench.apus.control("reload")
          #expect(!result.succeeded && result.error.contains(problem), "\(result.error)")
          #expect(try client.get(Site.small)["x-version"] == "one")
        }
        try write(rule("two"))
        bench.apus.process.signal(1)
        pause(seconds: 0.5)
        #expect(try client.get(Site.small)["x-version"] == "two", "SIGHUP")
      }
    }

    @Test func `under load no request fails while the configuration is taken again and again`() throws {
      try write(rule("0"))
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, arguments: ["--config", directory.path(of: "apus.yaml")])
        try apus.warm([Site.small], over: network)
        let load = try network.client.start([
          "wrk", "-t1", "-c16", "-d4s", "http://\(network.serverAddress)\(Site.small)",
        ])
        for index in 1...30 {
          try write(rule("\(index)"))
          #expect(try apus.control("reload").succeeded)
          pause(seconds: 0.1)
        }
        _ = try load.wait(timeout_s: 20)
        let output = load.transcript
        #expect(output.contains("requests in"), "\(output)")
        #expect(!output.contains("Socket errors") && !output.contains("Non-2xx"), "\(output)")
        #expect(try apus.status().hits > 1000)
      }
    }
  }
}
