import Measuring
import TestSupport

/// What it costs when the kernel part has no answer: the methods of the report's 4.1.3 that exist here.
struct HandoverWorkload: Workload {
  let id = "handover"
  let title = "Every request is a miss: what the way to the server behind costs, 1 KB"
  let needs = [Clients.wrk.need, Clients.ab.need]

  private static let size = 1024
  /// A query is no business of the kernel part, and none of a server of files either.
  private static let suffix = "?miss"
  private static let peers: [any Peer] = [
    ConfiguredPeer.nginx, ApusPeer(form: .misses), ApusPeer(form: .copying),
  ]

  func count(_ settings: Bench.Settings) -> Int { 2 * Self.peers.count * settings.repetitions }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(Self.peers, sizes: [Self.size], suffix: Self.suffix) { servers in
      for (variant, client, keepsAlive) in [
        ("connections kept", Clients.wrk, true), ("a connection for each request", Clients.ab, false),
      ] {
        try bench.compare(servers, workload: id, variant: variant, size: Self.size) {
          .init(
            $0, client, size: Self.size, keepsAlive: keepsAlive, settings: settings, suffix: Self.suffix)
        }
      }
    }
    bench.remark(
      "handover: `apus-miss` is the accept queue (the report's \"Linux way\"), `apus-copy` the copy from socket to "
        + "socket, by Apus in user mode. A copy inside the kernel, by sockmap, is left out: no server in Debian offers it."
    )
  }
}

/// The remaining method of the report's 4.1.3 beside the others: the client is told to ask elsewhere.
struct RedirectWorkload: Workload {
  let id = "redirect"
  let title = "Every request is a miss: redirection beside the other ways, 1 KB, a connection for each request"
  let needs = [Clients.siege.need]

  private static let size = 1024
  private static let suffix = "?miss"
  private static let peers: [any Peer] = [
    ConfiguredPeer.nginx, ApusPeer(form: .misses), ApusPeer(form: .copying), ApusPeer(form: .redirecting),
  ]

  func count(_ settings: Bench.Settings) -> Int { Self.peers.count * settings.repetitions }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(Self.peers, sizes: [Self.size], suffix: Self.suffix) { servers in
      try bench.compare(servers, workload: id, size: Self.size) {
        var measurement = Bench.Measurement(
          $0, Clients.siege, size: Self.size, keepsAlive: false, settings: settings, suffix: Self.suffix)
        if $0.peer.id == ApusPeer(form: .redirecting).id { measurement.load.redirections = 1 }
        return measurement
      }
    }
    bench.remark(
      "redirect: siege is the client because it follows redirections; it takes most of a CPU for itself, so compare the CPU "
        + "per request. The redirection is an answer of Apus's user half; the second connection goes straight to nginx."
    )
  }
}

/// The head and the first bytes of the file in one segment, or not (the report's 4.1.1).
struct OnePacketWorkload: Workload {
  let id = "onepacket"
  let title = "Head and file in one packet, and not, 1 KB, connections kept"
  let needs = [Clients.wrk.need]

  private static let size = 1024
  private static let peers: [any Peer] = [
    ConfiguredPeer.nginx, ConfiguredPeer.nginx("nginx-two-packets", "nginx, tcp_nopush off", ["nopush": "off"]),
  ]

  func count(_ settings: Bench.Settings) -> Int { Self.peers.count * settings.repetitions }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    try bench.withServers(Self.peers, sizes: [Self.size]) { servers in
      try bench.compare(servers, workload: id, size: Self.size) {
        .init($0, Clients.wrk, size: Self.size, settings: settings)
      }
    }
    bench.remark(
      "onepacket: only nginx has a setting for it (tcp_nopush, with sendfile). Apus's kernel part has one packet and no "
        + "other way.")
  }
}

/// With a log of accesses and without.
struct LoggingWorkload: Workload {
  let id = "logging"
  let title = "A log of accesses, and none, 1 KB, connections kept"
  let needs = [Clients.wrk.need]

  private static let size = 1024

  /// - Parameter log: where apus would write, if this apus has `--access-log`.
  private func peers(_ settings: Bench.Settings, log: String) throws -> [any Peer] {
    var peers: [any Peer] = [
      ConfiguredPeer.nginx,
      ConfiguredPeer.nginx(
        "nginx-log", "nginx, access_log",
        ["access_log": "{{directory}}/access.log combined buffer=64k flush=1s"]),
      ApusPeer(form: .kernel),
    ]
    if try Self.canLog(settings.apus) {
      peers.append(ApusPeer(form: .kernel, arguments: ["--access-log", log], name: "apus-log"))
    }
    return peers
  }

  private static func canLog(_ apus: String) throws -> Bool {
    try CommandResult.run([apus, "serve", "--help"]).output.contains("--access-log")
  }

  func count(_ settings: Bench.Settings) -> Int {
    ((try? peers(settings, log: "").count) ?? 0) * settings.repetitions
  }

  func run(_ bench: Bench) throws {
    let settings = bench.settings
    let directory = try ScratchDirectory("log")
    let peers = try peers(settings, log: directory.path(of: "access.log"))
    try bench.withServers(peers, sizes: [Self.size]) { servers in
      try bench.compare(servers, workload: id, size: Self.size) {
        .init($0, Clients.wrk, size: Self.size, settings: settings)
      }
    }
    if !peers.contains(where: { $0.id == "apus-log" }) {
      bench.remark("logging: this apus has no --access-log; its hits are counted, not logged.")
    }
  }
}
