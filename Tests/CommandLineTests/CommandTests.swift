import ApusServer
import ArgumentParser
import Testing

@testable import apus

@Suite struct CommandTests {
  private func purge(_ arguments: String...) throws -> [Purge] {
    try #require(try Apus.parseAsRoot(["purge"] + arguments) as? PurgeCommand).requests
  }

  @Test func `what purge asks for`() throws {
    #expect(try purge("/a", "/b c") == [.path("/a"), .path("/b c")])
    #expect(try purge("--prefix", "/img/") == [.prefix("/img/")])
    #expect(try purge("--all", "--admin", "/x") == [.all])
  }

  @Test func `what attach asks for`() throws {
    let command = try Apus.parseAsRoot([
      "attach", "127.0.0.1:8080", "--root", "/srv", "--ttl", "60", "--interface", "lo", "--interface", "eth0",
      "--admin",
      "/x", "--cache-size", "1M",
    ])
    let options = try #require(command as? AttachCommand).options
    #expect(options.address.description == "127.0.0.1:8080" && options.root == "/srv" && options.ttl_s == 60)
    #expect(options.interfaces == ["lo", "eth0"] && options.adminPath == "/x" && options.cacheBytes == 1 << 20)
    let plain = try #require(try Apus.parseAsRoot(["attach", "127.0.0.1:80"]) as? AttachCommand).options
    #expect(plain.root == nil && plain.ttl_s == nil && plain.interfaces.isEmpty && plain.adminPath == nil)
  }

  @Test(arguments: [
    ["purge"], ["purge", "--prefix"], ["purge", "--all", "/a"], ["purge", "--all", "--prefix"], ["purge", "a.css"],
    ["status", "surplus"], ["status", "--admin"], ["doctor", "--json"], ["frobnicate"], ["attach", ":80"],
    ["top", "--interval", "0"], ["top", "--count", "0"], ["top", "surplus"],
    ["attach"], ["attach", "127.0.0.1"],
    ["attach", "127.0.0.1:80", "--ttl", "0"], ["attach", "127.0.0.1:80", "--ttl", "soon"],
    ["attach", "127.0.0.1:80", "--root", ""], ["attach", "127.0.0.1:80", "--interface", "a/b"],
    ["attach", "127.0.0.1:80", "--interface", "lo", "--interface", "lo"], ["attach", "127.0.0.1:80", "surplus"],
    ["--frobnicate"],
  ])
  func `wrong usage`(arguments: [String]) throws {
    let error = try #require(#expect(throws: (any Error).self) { try Apus.parseAsRoot(arguments) })
    #expect(Apus.exitCode(for: error).rawValue == 64)
    #expect(Apus.fullMessage(for: error).hasPrefix("apus: error: "))
    #expect(Apus.fullMessage(for: error).contains("Usage: "))
  }

  @Test func `a failure is one line after the name, and exit code 1`() {
    let error = ServeFailure("it cannot be")
    #expect(Apus.fullMessage(for: error) == "apus: error: it cannot be")
    #expect(Apus.exitCode(for: error).rawValue == 1)
  }

  @Test func `without a server status says where it looked`() throws {
    let command = try #require(try Apus.parseAsRoot(["status", "--admin", "/no/such.sock"]) as? StatusCommand)
    let failure = #expect(throws: AdminFailure.self) { try command.run() }
    #expect(failure?.description == "no apus is running: no answer at /no/such.sock")
  }
}

/// What happens in a second.
@Suite struct TopTextTests {
  private func status(hits: Int, noObject: Int, uptime_s: Int) -> ServerStatus {
    var kernel = KernelStatus()
    kernel.hits = hits
    kernel.handovers = ["noObject": noObject, "method": 0]
    kernel.drops = ["acknowledgement": 9, "checksum": 2]
    return ServerStatus(
      mode: .kernel, interfaces: ["lo"], listen: ["127.0.0.1:80"], directory: "/srv", uptime_s: uptime_s,
      kernel: kernel,
      server: UserServerStatus(connections: 3, requests: noObject))
  }

  private func columns(_ text: TopText, _ label: String) -> [String]? {
    text.lines.first { $0.hasPrefix(label + "  ") }
      .map { $0.dropFirst(label.count).split(separator: " ").map(String.init) }
  }

  @Test func `counts become rates`() {
    let text = TopText(
      from: status(hits: 100, noObject: 10, uptime_s: 5), to: status(hits: 1090, noObject: 20, uptime_s: 7), seconds: 2)
    #expect(columns(text, "hits") == ["495", "1090"])
    #expect(columns(text, "hand-overs") == ["5.0", "20"])
    #expect(columns(text, "  no object") == ["5.0", "20"])
    #expect(columns(text, "  share of all requests") == ["99.0", "%"])
    #expect(columns(text, "dropped packets") == ["0", "2"], "acknowledgements are the normal course")
    #expect(columns(text, "requests to the user half") == ["5.0", "20"])
    #expect(!text.lines.contains { $0.contains("method") }, "what never occurred is not named")
  }

  @Test func `a server that was started anew has counted from zero`() {
    let text = TopText(
      from: status(hits: 100_000, noObject: 10, uptime_s: 500), to: status(hits: 50, noObject: 0, uptime_s: 1),
      seconds: 1)
    #expect(columns(text, "hits") == ["50", "50"])
  }
}

/// The status for people.
@Suite struct StatusTextTests {
  private func lines(_ change: (inout ServerStatus) -> Void) -> [String] {
    var status = ServerStatus(
      mode: .kernel, interfaces: ["lo", "eth0"], listen: ["10.0.0.1:80", "10.0.0.1:81"], directory: "/srv/www",
      uptime_s: 3725)
    change(&status)
    // One space for the columns' many.
    return StatusText(status).lines.map {
      ($0.hasPrefix(" ") ? "  " : "") + $0.split(separator: " ").joined(separator: " ")
    }
  }

  @Test func `kernel mode names its interfaces, every address, and the reasons that occurred`() {
    let lines = lines { status in
      status.kernel.hits = 12
      status.kernel.handovers["noObject"] = 3
      status.kernel.handovers["staleHeartbeat"] = 4
      status.kernel.drops["tornObject"] = 1
      // Nothing to worry about, so not to be shown as a loss.
      status.kernel.drops["handshakeAcknowledgement"] = 50
      status.kernel.drops["acknowledgement"] = 50
      status.cache.budget = 64 << 20
      status.cache.bytesUsed = 16 << 20
    }
    for line in [
      "mode kernel (lo, eth0)", "serving /srv/www", "listening at http://10.0.0.1:80",
      "listening at http://10.0.0.1:81", "up for 1 h 2 min", "hits 12", "hand-overs 7", "  stale heartbeat 4",
      "  no object 3", "dropped packets 1", "  torn object 1", "budget 64M (25 % in use)",
    ] {
      #expect(lines.contains(line))
    }
    #expect(!lines.contains { $0.contains("draining") }, "what did not occur is left out")
    #expect(lines.firstIndex(of: "  stale heartbeat 4")! < lines.firstIndex(of: "  no object 3")!)
  }

  @Test func `user mode says why, and nothing of the kernel half`() {
    let lines = lines { status in
      status.mode = .user
      status.reason = "no CAP_BPF"
      status.backend = "127.0.0.1:81"
      status.server = UserServerStatus(connections: 2, requests: 40)
    }
    for line in ["mode user (no CAP_BPF)", "server behind 127.0.0.1:81", "connections 2", "requests 40"] {
      #expect(lines.contains(line))
    }
    #expect(!lines.contains("kernel half"))
  }

  @Test func `an access log says where it is, and what of it is lost, and where`() {
    #expect(!lines { _ in }.contains("access log"))
    let whole = lines { $0.accessLog = AccessLogStatus(path: "-", format: "json", lines: 9) }
    for line in ["access log", "file standard output", "lines 9", "lost 0"] { #expect(whole.contains(line)) }
    let lossy = lines {
      $0.accessLog = AccessLogStatus(path: "/a.log", format: "json", lines: 9, lostInKernel: 5, lostInWriting: 2)
    }
    for line in ["file /a.log", "lost 7", "  in the kernel half 5", "  in writing 2"] { #expect(lossy.contains(line)) }
    #expect(!lossy.contains { $0.hasPrefix("  in the queue") })
  }

  @Test(arguments: [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (86_399, "23 h 59 min"), (180_000, "2 d 2 h")])
  func `durations`(seconds: Int, text: String) {
    #expect(StatusText.duration(seconds) == text)
  }
}
