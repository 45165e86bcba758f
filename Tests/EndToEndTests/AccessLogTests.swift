import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// The access log, as those read it that it is for: goaccess, programs that read JSON, logrotate.
  @Suite struct AccessLog {
    /// Apus with an access log over veth or, in user mode, over loopback.
    private func withLog(
      _ format: String, mode: String = "kernel", warm: [String] = [], arguments: [String] = [],
      _ body: (Bench, Log) throws -> Void
    ) throws {
      let directory = try ScratchDirectory("access-log")
      let log = Log(path: directory.path(of: "access.log"))
      func run(_ network: TestNetwork, port: UInt16) throws {
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, port: port, mode: mode,
          arguments: ["--access-log", log.path, "--access-log-format", format] + arguments)
        try apus.warm(warm, over: network)
        try body(Bench(network: network, apus: apus, nginx: nil, port: port), log)
      }
      if mode == "kernel" {
        try TestNetwork.withVeth { try run($0, port: 80) }
      } else {
        try TestNetwork.withLoopbackUnprivileged { try run($0, port: try $0.freePort()) }
      }
    }

    /// An access log and what has become of it.
    private struct Log {
      let path: String
      var rotations = 0

      var lines: [String] { get throws { try Self.lines(of: path) } }

      static func lines(of path: String) throws -> [String] {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
        #expect(text.isEmpty || text.hasSuffix("\n"), "a line is not whole")
        return text.split(separator: "\n").map(String.init)
      }

      var objects: [[String: Any]] { get throws { try Self.objects(lines) } }

      static func objects(_ lines: [String]) throws -> [[String: Any]] {
        try lines.map { line in
          let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
          guard let object else { throw SupportError("no JSON: \(line)") }
          return object
        }
      }

      /// What goaccess makes of it: how many lines it read, and how many it could not.
      func readByGoaccess(in directory: ScratchDirectory) throws -> (all: Int, failed: Int) {
        let report = directory.path(of: "report.json")
        try CommandResult.run(
          ["goaccess", path, "--log-format=COMBINED", "--no-global-config", "-o", report], timeout_s: 60
        ).orThrow()
        let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: report)))
        guard let general = (json as? [String: Any])?["general"] as? [String: Any],
          let all = general["total_requests"] as? Int, let failed = general["failed_requests"] as? Int
        else { throw SupportError("goaccess: \(json)") }
        return (all, failed)
      }
    }

    /// Stops Apus, so that everything is written.
    private func end(_ bench: Bench) throws { #expect(try bench.apus.stop() == .exited(0)) }

    @Test(.kernelMode) func `curl's requests are in the Combined Log Format, whichever half answers`() throws {
      try withLog("combined", warm: [Site.small]) { bench, log in
        let warmed = try bench.apus.status()
        let url = bench.origin()
        for path in [Site.small, Site.small + "?query", "/none"] {
          try bench.network.client.run(
            ["curl", "-s", "-o", "/dev/null", "-e", "http://r/\"", "-A", "an \\ agent", url + path])
            .orThrow()
        }
        #expect(try bench.apus.status().hits == warmed.hits + 1)
        try end(bench)
        let lines = try log.lines.suffix(3)
        for (line, rest) in zip(
          lines,
          [
            "GET \(Site.small) HTTP/1.1\" 200 900", "GET \(Site.small)?query HTTP/1.1\" 200 900",
            "GET /none HTTP/1.1\" 404 141",
          ])
        {
          let expected =
            #"^10\.77\.0\.2 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ""#
            + NSRegularExpression.escapedPattern(for: rest + #" "http://r/\x22" "an \x5C agent""#) + "$"
          #expect(line.range(of: expected, options: .regularExpression) != nil, "\(line)")
        }
        let read = try log.readByGoaccess(in: try ScratchDirectory("goaccess"))
        let count = try log.lines.count
        #expect(read.failed == 0 && read.all == count)
      }
    }

    @Test(.kernelMode) func `wrk's and ab's requests are counted by the lines, and goaccess reads them all`() throws {
      try withLog("combined", warm: [Site.small]) { bench, log in
        let url = bench.origin() + Site.small
        let before = try bench.apus.status()
        for keepAlive in [true, false] {
          let result = try bench.network.client.ab(url, requests: 3000, concurrency: 8, keepAlive: keepAlive)
          #expect(result.requests == 3000 && result.failures == 0)
        }
        let after = try bench.apus.status { $0.hits == before.hits + 6000 }
        #expect(after.hits == before.hits + 6000)
        let fromWrk = try bench.network.client.wrk(
          url, connections: 16, duration_s: 2, fields: ["User-Agent: wrk", "Referer: http://wrk/"])
        pause(seconds: 0.3)
        let report = try bench.apus.status()
        try end(bench)
        let lines = try log.lines
        let lost = try #require(report.accessLog).lostInKernel
        #expect(lines.count { $0.contains("\"ApacheBench/") } == 6000)
        let logged = lines.count { $0.hasSuffix(" 200 900 \"http://wrk/\" \"wrk\"") }
        // What was under way when wrk stopped was answered and is not in its count.
        #expect((fromWrk.requests...fromWrk.requests + 16).contains(logged + lost), "\(logged) lines, \(lost) lost")
        #expect(logged + lost == report.hits - after.hits)
        let read = try log.readByGoaccess(in: try ScratchDirectory("goaccess"))
        #expect(read.failed == 0 && read.all == lines.count)
      }
    }

    @Test(.kernelMode, arguments: [SIGUSR1, SIGHUP])
    func `rotated under load, by rename and a signal, no line is lost, doubled or torn`(signal: Int32) throws {
      try withLog("json", warm: [Site.small]) { bench, log in
        let connections = 16
        let load = try bench.network.client.start([
          "wrk", "-t1", "-c\(connections)", "-d4s", "-H", "User-Agent: wrk", bench.origin() + Site.small,
        ])
        bench.network.adopt(load)
        var rotated: [String] = []
        for number in 0..<5 {
          pause(seconds: 0.5)
          rotated.append("\(log.path).\(number)")
          #expect(rename(log.path, rotated[number]) == 0)
          bench.apus.process.signal(signal)
          #expect(eventually(timeout_s: 5) { access(log.path, F_OK) == 0 })
        }
        #expect(try load.wait(timeout_s: 20) == .exited(0))
        let words = load.standardOutput.split(whereSeparator: \.isWhitespace)
        let place = try #require(words.firstIndex(of: "requests"), "\(load.standardOutput)")
        let sent = try #require(Int(words[place - 1]))
        pause(seconds: 0.3)
        let report = try bench.apus.status()
        try end(bench)
        let files = try (rotated + [log.path]).map { try Log.objects(Log.lines(of: $0)) }
        // On a busy machine the last ones may be too late for the load.
        #expect(files.count { !$0.isEmpty } >= 2)
        let objects = files.flatMap { $0 }
        let lost = try #require(report.accessLog).lostInKernel
        let told = objects.filter { $0["kind"] as? String == "lost" }.reduce(0) { $0 + ($1["lines"] as? Int ?? 0) }
        #expect(told == lost && report.accessLog?.lostInWriting == 0 && report.accessLog?.lostInQueue == 0)
        let answers = objects.filter { $0["kind"] as? String == "request" && $0["userAgent"] as? String == "wrk" }
        // What was under way when wrk stopped was answered and is not in its count; a lost line may be a hand-over's.
        let answered = sent...sent + connections + report.handovers
        #expect(answered.contains(answers.count + lost), "\(answers.count) lines, \(lost) lost, \(sent) sent")
        let ofKernel = objects.count { $0["half"] as? String == "kernel" || $0["kind"] as? String == "handover" }
        #expect(ofKernel + lost == report.hits + report.handovers && report.hits > 1000)
        // Reloading hands connections over; to open the log anew does not.
        if signal == SIGUSR1 { #expect(answers.allSatisfy { $0["half"] as? String == "kernel" }) }
      }
    }

    @Test(.kernelMode) func `a path that cannot be opened anew is said, and the old file goes on`() throws {
      let directory = try ScratchDirectory("moved-log")
      try directory.write([], to: "logs/access.log")
      try TestNetwork.withVeth { network in
        let path = directory.path(of: "logs/access.log")
        let apus = try ApusProcess(in: network, root: Site.shared.root, arguments: ["--access-log", path])
        #expect(rename(directory.path(of: "logs"), directory.path(of: "moved")) == 0)
        apus.process.signal(SIGHUP)
        let message = "cannot reopen the access log \(path): No such file or directory; going on with the old one"
        #expect(eventually(timeout_s: 5) { apus.process.standardError.contains(message) })
        _ = try RawClient(network, port: 80).get(Site.small)
        #expect(try apus.stop() == .exited(0))
        #expect(try Log.lines(of: directory.path(of: "moved/access.log")).count == 1)
      }
    }

    @Test(.kernelMode) func `apus attach logs hits and hand-overs as JSON, and only hits as Combined`() throws {
      for format in ["json", "combined"] {
        try TestNetwork.withVeth { network in
          let directory = try ScratchDirectory("attach-log")
          let log = Log(path: directory.path(of: "access.log"))
          let nginx = try NginxServer(in: network, port: 80, root: Site.shared.root)
          let apus = try ApusProcess(
            in: network, attachedTo: 80,
            arguments: ["--ttl", "60", "--access-log", log.path, "--access-log-format", format])
          try apus.warm([Site.small], over: network)
          for path in [Site.small, Site.small + "?query"] { _ = try RawClient(network, port: 80).get(path) }
          let report = try apus.status()
          let atServer = try nginx.log().filter { $0.remoteAddress == network.clientAddress }.count
          #expect(try apus.stop() == .exited(0))
          guard format == "json" else {
            #expect(try log.lines.count == report.hits)
            return
          }
          let objects = try log.objects
          let handedOver = objects.filter { $0["kind"] as? String == "handover" }
          #expect(objects.count { $0["half"] as? String == "kernel" } == report.hits)
          #expect(handedOver.count == report.handovers && handedOver.count == atServer)
          #expect(handedOver.last?["reason"] as? String == "query")
          #expect(handedOver.last?["target"] as? String == Site.small + "?query")
          #expect(objects.allSatisfy { $0["client"] as? String == network.clientAddress })
        }
      }
    }

    @Test func `in user mode ab, curl and HTTP2 over TLS have their lines`() throws {
      let certificate = try TestCertificate(for: ["apus.test"], address: "127.0.0.1")
      try withLog(
        "json", mode: "user",
        arguments: ["--tls", "127.0.0.1:8443", "--certificate", certificate.certificate, "--key", certificate.key]
      ) { bench, log in
        let result = try bench.network.client.ab(
          bench.origin() + Site.small, requests: 2000, concurrency: 8, keepAlive: true)
        #expect(result.requests == 2000 && result.failures == 0)
        for path in [Site.small, Site.large] {
          try bench.network.client.run(
            ["h2load", "-n", "200", "-c", "4", "-m", "8", "https://127.0.0.1:8443\(path)"], timeout_s: 60
          ).orThrow()
        }
        try end(bench)
        let objects = try log.objects
        #expect(objects.count == 2400)
        let http2 = objects.filter { $0["protocol"] as? String == "HTTP/2.0" }
        #expect(http2.count == 400 && http2.allSatisfy { $0["tls"] as? Bool == true })
        #expect(http2.count { $0["bytes"] as? Int == 5_000_000 && $0["target"] as? String == Site.large } == 200)
        #expect(objects.allSatisfy { $0["half"] as? String == "user" && $0["status"] as? Int == 200 })
        #expect(objects.count { $0["tls"] == nil && $0["bytes"] as? Int == 900 } == 2000)
        let python = try bench.network.client.run([
          "python3", "-c",
          "import json,sys; print(sum(1 for line in open(sys.argv[1]) if json.loads(line)['kind'] == 'request'))",
          log.path,
        ]).orThrow()
        #expect(python.output == "2400\n")
      }
    }

    @Test func `standard output can be the log, and what goes wrong is said`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        let port = try network.freePort()
        let apus = try ApusProcess(
          in: network, root: Site.shared.root, port: port, mode: "user", arguments: ["--access-log", "-"])
        _ = try RawClient(network, port: port).get(Site.empty)
        let line = try apus.process.waitForLine(beginning: "127.0.0.1 - - [")
        #expect(line.contains("\"GET \(Site.empty) HTTP/1.1\" 200 0 "))
        let refused = try network.server.run([
          ApusProcess.binary, "serve", Site.shared.root, "--listen", "127.0.0.1:\(port + 1)", "--mode", "user",
          "--access-log", "/none/access.log",
        ])
        #expect(refused.termination == .exited(1))
        #expect(
          refused.error == "apus: error: cannot open the access log /none/access.log: No such file or directory\n")
      }
    }

    @Test func `answers of a server behind a proxy are logged with their status and length`() throws {
      try TestNetwork.withLoopbackUnprivileged { network in
        let directory = try ScratchDirectory("proxy-log")
        let upstream = try NginxServer(in: network, port: try network.freePort(), root: Site.shared.root)
        let empty = try ScratchDirectory("nothing")
        let log = Log(path: directory.path(of: "access.log"))
        let port = try network.freePort()
        let apus = try ApusProcess(
          in: network, root: empty.path, port: port, mode: "user",
          arguments: [
            "--proxy", "http://127.0.0.1:\(upstream.port)", "--access-log", log.path, "--access-log-format", "json",
          ])
        let client = try RawClient(network, port: port)
        for path in [Site.large, Site.small, "/none"] { _ = try client.get(path) }
        #expect(try apus.stop() == .exited(0))
        let objects = try log.objects
        #expect(objects.map { $0["status"] as? Int } == [200, 200, 404])
        #expect(objects.prefix(2).map { $0["bytes"] as? Int } == [5_000_000, 900])
        #expect(objects.allSatisfy { $0["half"] as? String == "user" })
      }
    }
  }
}
