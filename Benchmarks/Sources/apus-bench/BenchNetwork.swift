import Foundation
import TestSupport

/// The network a server is measured in: two namespaces and veth between them, with the limits the report's 5.1.3 warns
/// of out of the way.
enum BenchNetwork {
  /// What lies between the client and the server.
  enum Link {
    /// veth as it is: as fast as the machine, and a response of the kernel's TCP is one packet of up to 64 KB.
    case plain
    /// A router between the two holds both ways to a rate. The client's CPU does its work: a link costs a server nothing.
    case rate(Mbps: Int)
    /// Packets are no larger than on a wire, and the client puts them together again as its network card's driver would.
    case packets
  }

  static func with<Result>(
    _ cpus: CPUs, link: Link = .plain, _ body: (TestNetwork) throws -> Result
  ) throws -> Result {
    try join(link, cpus) { network in
      // Where clients close first their ports are in TIME-WAIT for a minute: many ports, and those used again that
      // timestamps make safe to use again (RFC 6191).
      try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
      try network.client.set("ipv4/tcp_tw_reuse", to: "1")
      // The report's table 6: what listen(2) may ask for, and what may wait for the end of a handshake.
      for namespace in [network.server, network.client] { try namespace.set("core/somaxconn", to: "65535") }
      try network.server.set("ipv4/tcp_max_syn_backlog", to: "65535")
      // One address has fewer ports than connections in a minute: with one for each run of a client that can choose no
      // SYN meets TIME-WAIT at the server.
      let addresses = clientAddresses.map { "ip address add \($0)/24 dev eth0" }.joined(separator: "; ")
      try network.client.run(["sh", "-c", addresses]).orThrow()
      try cpus.steer(network)
      if case .packets = link { try separate(network, cpus) }
      return try body(network)
    }
  }

  private static func join<Result>(
    _ link: Link, _ cpus: CPUs, _ body: (TestNetwork) throws -> Result
  ) throws -> Result {
    guard case .rate(let rate_Mbps) = link else { return try TestNetwork.withVeth(body) }
    let client = try NetworkNamespace("client")
    let router = try NetworkNamespace("router")
    let server = try NetworkNamespace("server")
    _ = try VethPair((client, "eth0", "10.77.0.2/24"), (router, "left", "10.77.0.1/24"))
    _ = try VethPair((server, "eth0", "10.77.1.2/24"), (router, "right", "10.77.1.1/24"))
    try client.ip("route", "add", "default", "via", "10.77.0.1")
    try server.ip("route", "add", "default", "via", "10.77.1.1")
    try router.set("ipv4/ip_forward", to: "1")
    for device in ["left", "right"] {
      try hold(device, of: router, to: rate_Mbps)
      try cpus.steer(device, of: router, to: cpus.client)
    }
    return try TestNetwork.with(
      client: client, server: server, serverAddress: "10.77.1.2", clientAddress: "10.77.0.2", between: [router], body)
  }

  /// Further ones of the client.
  static let clientAddresses = (10..<50).map { "10.77.0.\($0)" }

  /// tc-tbf(8): a bucket for what leaves by a device. It must hold what is sent in a tick of the timer, and is better no
  /// smaller than one large segment (64 KB), which would be split.
  private static func hold(_ device: String, of namespace: NetworkNamespace, to rate_Mbps: Int) throws {
    let burst_bytes = max(65_536, rate_Mbps * 1_000_000 / 8 / 250)
    try namespace.run(
      [
        "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", "\(rate_Mbps)mbit", "burst", "\(burst_bytes)",
        "latency", "50ms",
      ]
    ).orThrow()
  }

  /// No segmentation offload at the server (TSO, which veth would carry as far as the client's socket, and no wire does),
  /// and generic receive offload at the client. veth does that in a NAPI poll, which would run on the CPU of whoever
  /// sends; a thread of the client's CPU stands for the interrupt of a network card.
  private static func separate(_ network: TestNetwork, _ cpus: CPUs) throws {
    try network.server.run(["ethtool", "-K", "eth0", "tso", "off"]).orThrow()
    // The ring to the poll has room for 256 packets. A network card's has no more; in front of it is a queue, and Linux
    // 6.16 and newer let that wait for veth's ring.
    try network.server.run(["tc", "qdisc", "add", "dev", "eth0", "root", "pfifo", "limit", "10000"]).orThrow()
    try network.client.run(["ethtool", "-K", "eth0", "gro", "on"]).orThrow()
    try network.client.run(["sh", "-c", "echo 1 > /sys/class/net/eth0/threaded"]).orThrow()
    let threads = "grep -ls '^napi/eth0-' /proc/[0-9]*/comm | cut -d/ -f3"
    let pinned = try eventually(timeout_s: 2) {
      try CommandResult.run(
        ["sh", "-c", "for thread in $(\(threads)); do taskset -c -p \(cpus.client) $thread; done"]
      ).orThrow().output.contains("new affinity")
    }
    guard pinned else { throw SupportError("veth has no NAPI thread") }
  }

  /// For ten thousand connections, and as many files and connections to a server behind: what the servers' configurations
  /// ask for.
  private static let descriptors: rlim_t = 40_000

  static let remarkOnDescriptors =
    "connections, idle: where this machine allows fewer than \(descriptors) descriptors (above), servers that keep one for a "
    + "file beside that of each connection (lighttpd, apus-user) have no room for ten thousand, and say so."

  /// As many open files as are wanted, for this process and those it starts; fewer where not even root may raise the limit.
  ///
  /// - Returns: how many that is.
  static func raiseDescriptorLimit() -> Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    for most in [max(descriptors, limit.rlim_max), limit.rlim_max] {
      (limit.rlim_cur, limit.rlim_max) = (most, most)
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { break }
    }
    return Int(limit.rlim_cur)
  }

  /// Packets the CPUs' backlog queues had no room for, since the machine was started (the second column of
  /// /proc/net/softnet_stat; net.core.netdev_max_backlog is the queue's length).
  static func backlogDrops() throws -> Int {
    let text = try String(contentsOfFile: "/proc/net/softnet_stat", encoding: .utf8)
    return text.split(separator: "\n").compactMap { line in
      let columns = line.split(separator: " ")
      return columns.count > 1 ? Int(columns[1], radix: 16) : nil
    }.reduce(0, +)
  }
}
