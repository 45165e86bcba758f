import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// `apus attach` before an nginx that was there first.
  @Suite(.kernelMode) struct Attach {
    /// nginx on port 80, and Apus attached to it.
    private func withAttached(
      root: String = Site.shared.root, serverLines: String = "", _ arguments: [String], warm: [String] = [],
      _ body: (Bench) throws -> Void
    ) throws {
      try TestNetwork.withVeth { network in
        let nginx = try NginxServer(in: network, port: 80, root: root, serverLines: serverLines)
        let apus = try ApusProcess(in: network, attachedTo: 80, arguments: arguments)
        try apus.warm(warm, over: network)
        try body(Bench(network: network, apus: apus, nginx: nginx, port: 80))
      }
    }

    @Test func `two lines say where it is attached and what holds`() throws {
      try withAttached(["--ttl", "60"]) { bench in
        #expect(bench.apus.readyLine == "apus: attached to 10.77.0.1:80 (kernel mode: lo, eth0)")
        let second = try bench.apus.process.waitForLine(beginning: "apus: a shared cache (RFC 9111): ")
        #expect(second.hasSuffix("those that do not say how long are kept for 60 s"))
        let status = try bench.apus.status()
        #expect(status.mode == "kernel" && status.interfaces == ["lo", "eth0"])
      }
      try withAttached(["--root", Site.shared.root]) { bench in
        _ = try bench.apus.process.waitForLine(beginning: "apus: files of \(Site.shared.root) are answered as ")
      }
    }

    @Test func `without a server there is nothing to attach to`() throws {
      try TestNetwork.withLoopback { network in
        let result = try network.server.run([ApusProcess.binary, "attach", "127.0.0.1:80"])
        #expect(result.termination == .exited(1))
        #expect(result.error.hasPrefix("apus: error: no server to attach to at 127.0.0.1:80: Connection refused"))
      }
    }

    @Test func `answers without freshness are nginx's alone, unless a time is named`() throws {
      try withAttached([]) { bench in
        for _ in 0..<6 {
          let answer = try bench.connect().get(Site.small)
          expectFile(answer, Site.small)
          #expect(answer["age"] == nil)
          pause(seconds: 0.6)
        }
        let status = try bench.apus.status()
        #expect(status.hits == 0 && status.cache.objects == 0)
        #expect(try bench.clientLog().filter { $0.target == Site.small }.count == 6)
      }
    }

    /// Detached, everything is as it was: the server serves, and nothing is left in the kernel.
    @Test(arguments: [SIGTERM, SIGINT, SIGKILL])
    func `detaching leaves no trace`(signal: Int32) throws {
      try withAttached(["--ttl", "3600"], warm: [Site.small]) { bench in
        let objects = try KernelObjects(heldBy: bench.apus.process.pid)
        let counts = objects.counts
        #expect(counts[0] == 1 && counts[1] > 5 && counts[2] == 2, "a program, its maps, a link each: \(counts)")
        #expect(!objects.remaining.isEmpty)
        let kept = try bench.connect()
        expectFile(try kept.get(Site.small), Site.small)
        let logged = try bench.clientLog().count

        bench.apus.process.signal(signal)
        if signal != SIGKILL {
          // The connection is the kernel part's: as soon as the signal has come through a request is handed over.
          let isHandedOver = try eventually(timeout_s: 1.5, every: 0.001) {
            expectFile(try kept.get(Site.small), Site.small)
            return try bench.clientLog().count > logged
          }
          #expect(isHandedOver)
        }
        let end = try bench.apus.process.wait(timeout_s: 10)
        #expect(end == (signal == SIGKILL ? .signalled(SIGKILL) : .exited(0)))
        // The connection nginx was given lives on.
        if signal != SIGKILL { expectFile(try kept.get(Site.small), Site.small) }
        for path in [Site.small, Site.other, Site.large] { expectFile(try bench.connect().get(path), path) }
        // The kernel frees programs and maps a grace period later.
        let isClean = eventually(timeout_s: 10) { objects.remaining.isEmpty }
        #expect(isClean, "\(objects.remaining)")
        #expect(try bench.clientLog().suffix(3).map(\.target) == [Site.small, Site.other, Site.large])
      }
    }

    @Test(arguments: [["/a/page.html"], ["--prefix", "/a/"], ["--all"]])
    func `what is purged is not answered again once purge has returned`(arguments: [String]) throws {
      let directory = try ScratchDirectory("purged")
      let paths = ["/a/page.html", "/b/page.html"]
      func write(_ version: Int) throws {
        for path in paths { try directory.replace(String(path.dropFirst()), with: "version \(version)\n".utf8) }
      }
      try write(0)
      pause(seconds: 1)
      try withAttached(root: directory.path, ["--ttl", "3600"], warm: paths) { bench in
        for round in 1...5 {
          try write(round)
          // Nothing watches the files: until it is purged, the answer is what it was.
          for path in paths {
            #expect(try bench.connect().get(path).body != Array("version \(round)\n".utf8), "from the cache")
          }
          let purge = try CommandResult.run(
            bench.network.server.command(
              [ApusProcess.binary, "purge"] + arguments + ["--admin", bench.apus.adminPath]))
          try purge.orThrow()
          #expect(try bench.connect().get(paths[0]).body == Array("version \(round)\n".utf8))
          let other = try bench.connect().get(paths[1]).body
          #expect((other == Array("version \(round)\n".utf8)) == (arguments == ["--all"]), "only what was named")
          if arguments != ["--all"] { try bench.apus.control("purge", "--all").orThrow() }
          try bench.apus.warm(paths, over: bench.network)
        }
      }
    }

    /// A page that is replaced twice a second, and may be kept for five seconds.
    @Test func `nothing is answered longer than it is fresh, and its Age says how old it is`() throws {
      let directory = try ScratchDirectory("aging")
      try directory.write("0\n".utf8, to: "page.html")
      pause(seconds: 1)
      let lifetime_s = 5.0
      let lines = "add_header Cache-Control max-age=\(Int(lifetime_s));"
      try withAttached(root: directory.path, serverLines: lines, [], warm: ["/page.html"]) { bench in
        let before = try bench.apus.status().hits
        var replaced_s = [monotonicSeconds()]
        var ages: [String: Int] = [:]
        var aged = 0
        let end_s = monotonicSeconds() + 16
        while monotonicSeconds() < end_s {
          if monotonicSeconds() - replaced_s.last! > 0.5 {
            try directory.replace("page.html", with: "\(replaced_s.count)\n".utf8)
            replaced_s.append(monotonicSeconds())
          }
          let asked_s = monotonicSeconds()
          let answer = try bench.connect().get("/page.html")
          let version = try #require(Int(String(decoding: answer.body.dropLast(), as: UTF8.self)))
          if version + 1 < replaced_s.count {
            #expect(asked_s - replaced_s[version + 1] < lifetime_s, "no longer fresh")
          }
          if let age = answer["age"].flatMap({ Int($0) }) {
            let date = try #require(answer["date"])
            #expect(age < Int(lifetime_s) && age >= ages[date] ?? 0, "the Age of an answer never goes back")
            ages[date] = age
            aged += 1
          }
          pause(seconds: 0.02)
        }
        let hits = try bench.apus.status().hits - before
        #expect(aged == hits, "the kernel part's answers have an Age, and no others")
        #expect(hits > 100 && ages.count > 2, "it is renewed, not just dropped: \(hits) hits, Dates \(ages)")
      }
    }

    @Test func `with a watched root a replaced file is answered in its new version within a second`() throws {
      let directory = try ScratchDirectory("watched")
      try expectReplacementSeen(in: directory) { body in
        pause(seconds: 0.5)
        try withAttached(root: directory.path, ["--root", directory.path], warm: ["/page.html"]) { bench in
          let before = try bench.apus.status().hits
          try body(bench)
          #expect(try bench.apus.status().hits > before, "some of the answers came from the kernel cache")
        }
      }
    }

    @Test func `the connections nginx had before stay its own`() throws {
      try TestNetwork.withVeth { network in
        let nginx = try NginxServer(in: network, port: 80, root: Site.shared.root)
        let early = try RawClient(network)
        expectFile(try early.get(Site.small), Site.small)
        let apus = try ApusProcess(in: network, attachedTo: 80, arguments: ["--ttl", "3600"])
        try apus.warm([Site.small], over: network)
        let hits = try apus.status().hits
        for _ in 0..<5 { expectFile(try early.get(Site.small), Site.small) }
        #expect(try apus.status().hits == hits)
        #expect(try nginx.log().contains { $0.requestOfConnection == 6 })
      }
    }
  }
}
