import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Never stale, never torn, and never without the daemon behind.
  @Suite(.kernelMode) struct Invalidation {
    @Test(arguments: [false, true])
    func `a file replaced by rename is served within a second, whole`(backend: Bool) throws {
      let directory = try ScratchDirectory("changing")
      try expectReplacementSeen(in: directory) { body in
        try Bench.kernel(root: directory.path, backend: backend) { bench in
          try bench.apus.warm(["/page.html"], over: bench.network)
          let before = try bench.apus.status().hits
          try body(bench)
          #expect(try bench.apus.status().hits > before, "some of the answers came from the kernel cache")
        }
      }
    }

    @Test func `a removed file is 404 within a second`() throws {
      let directory = try ScratchDirectory("changing")
      try directory.write(Array(repeating: UInt8(ascii: "x"), count: 700), to: "page.html")
      try Bench.kernel(root: directory.path) { bench in
        try bench.apus.warm(["/page.html"], over: bench.network)
        #expect(unlink(directory.path(of: "page.html")) == 0)
        let gone = try eventually(timeout_s: 1) { try bench.connect().get("/page.html").status == 404 }
        #expect(gone)
      }
    }

    @Test(arguments: [Site.small, "--all"])
    func `what is purged is asked for again`(argument: String) throws {
      try Bench.kernel(warm: [Site.small, Site.other]) { bench in
        let before = try bench.apus.status()
        try bench.apus.control("purge", argument).orThrow()
        expectFile(try bench.connect().get(Site.small), Site.small)
        let after = try bench.apus.status()
        #expect(after.hits == before.hits)
        #expect(after.handovers("noObject") == before.handovers("noObject") + 1)

        expectFile(try bench.connect().get(Site.other), Site.other)
        let kept = try bench.apus.status().hits - after.hits
        #expect(kept == (argument == "--all" ? 0 : 1), "only what was named is purged")
        try bench.apus.warm([Site.small, Site.other], over: bench.network)
      }
    }

    @Test func `a daemon that hangs is not spoken for: after two seconds nginx answers everything`() throws {
      try Bench.kernel(backend: true, warm: [Site.small]) { bench in
        let old = try bench.connect()
        expectFile(try old.get(Site.small), Site.small)
        let logged = try bench.clientLog().count

        bench.apus.process.signal(SIGSTOP)
        defer { bench.apus.process.signal(SIGCONT) }
        pause(seconds: 2.3)
        expectFile(try old.get(Site.small), Site.small)
        for _ in 0..<3 { expectFile(try bench.connect().get(Site.small), Site.small) }
        #expect(try bench.clientLog().count == logged + 4, "all four were answered by nginx")

        bench.apus.process.signal(SIGCONT)
        try bench.apus.warm([Site.small], over: bench.network)
      }
    }

    @Test(arguments: [false, true])
    func `a daemon that is killed leaves nothing in the kernel`(backend: Bool) throws {
      try TestNetwork.withVeth { network in
        let root = Site.shared.root
        let nginx = backend ? try NginxServer(in: network, port: 8081, root: root) : nil
        let apus = try ApusProcess(in: network, root: root, backendPort: nginx?.port)
        try apus.warm([Site.small], over: network)
        apus.process.signal(SIGKILL)
        #expect(try apus.process.wait(timeout_s: 5) == .signalled(SIGKILL))
        let refused = eventually(timeout_s: 2) {
          do {
            _ = try RawClient(network, timeout_s: 1)
            return false
          } catch let error as RawClient.ConnectError {
            return error.code == ECONNREFUSED
          } catch {
            return false
          }
        }
        #expect(refused, "the port is a closed port")
        if backend { expectFile(try RawClient(network, port: 8081).get(Site.small), Site.small) }
      }
    }

    @Test func `SIGTERM ends it with 0, and the answers under way are whole`() throws {
      try TestNetwork.withVeth { network in
        let apus = try ApusProcess(in: network, root: Site.shared.root)
        try apus.warm([Site.small], over: network)
        let client = try RawClient(network)
        expectFile(try client.get(Site.small), Site.small)
        apus.process.signal(SIGTERM)
        #expect(try apus.process.wait(timeout_s: 20) == .exited(0))
        #expect(throws: (any Error).self) { _ = try RawClient(network, timeout_s: 1) }
      }
    }
  }
}

/// Replaces /page.html a few times by rename while a client asks for it over and over: every answer is one version
/// whole, and after a second it is the new one.
func expectReplacementSeen(
  in directory: ScratchDirectory, withBench: ((Bench) throws -> Void) throws -> Void
) throws {
  // Each version is of one letter and a length of its own, so that a mixture shows in either.
  func version(_ number: Int) -> [UInt8] {
    Array(repeating: UInt8(ascii: "A") + UInt8(number), count: 700 + 13 * number)
  }
  let count = 4
  try directory.write(version(0), to: "page.html")
  try withBench { bench in
    for number in 1..<count {
      try directory.replace("page.html", with: version(number))
      let replaced_s = monotonicSeconds()
      var client = try bench.connect()
      // Long enough for the new version to be stored and answered from the kernel again.
      while monotonicSeconds() - replaced_s < 2.5 {
        let asked_s = monotonicSeconds()
        let response = try client.get("/page.html")
        try #require(response.status == 200)
        let seen = Int(response.body.first ?? 0) - Int(UInt8(ascii: "A"))
        try #require((0..<count).contains(seen) && response.body == version(seen), "one version, whole")
        if asked_s - replaced_s > 1 { try #require(seen == number, "the old version after a second") }
        // A new connection now and then: a connection that was handed over stays with the user half.
        client = try bench.connect()
        pause(seconds: 0.002)
      }
    }
  }
}
