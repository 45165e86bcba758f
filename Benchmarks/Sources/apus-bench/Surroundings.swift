import CBPF
import Foundation
import TestSupport

/// What else is on the path of a packet, and the limits of the machine: the report found a virus scanner that cost a
/// quarter, and nobody had thought of it.
enum Surroundings {
  /// Sentences.
  static func describe(_ settings: Bench.Settings, cpus: CPUs, descriptors: Int) throws -> [String] {
    [
      try machine(),
      "Client on CPU \(cpus.client), server on CPU \(cpus.server), in a network namespace each, joined by veth; the "
        + "kernel's receive work is steered to the CPU of whoever receives (RPS). \(settings.repetitions) runs of "
        + "\(plainSeconds(settings.duration_s)) s each, servers in turns; \(settings.connections) connections where "
        + "nothing else is said. CPU per request is wall time minus idle time of the server's CPU.",
      versions(settings.peers),
      "Limits: \(descriptors) descriptors, ports 1024 to 65535, ab from another address in each run, tcp_tw_reuse at the client, net.core.somaxconn 65535, "
        + "net.core.netdev_max_backlog \(read("/proc/sys/net/core/netdev_max_backlog")), "
        + "congestion control \(read("/proc/sys/net/ipv4/tcp_congestion_control")).",
      hooks(),
    ]
  }

  private static func plainSeconds(_ value: Double) -> String { String(format: "%g", value) }

  private static func machine() throws -> String {
    let information = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split(separator: "\n")
    let model = information.first { $0.hasPrefix("model name") }?.split(separator: ":").last
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let virtual =
      information.contains { $0.hasPrefix("flags") && $0.contains(" hypervisor") } ? ", a virtual machine" : ""
    return "Linux \(read("/proc/sys/kernel/osrelease")),\(model ?? " unknown CPU"), \(count) CPUs\(virtual)."
  }

  private static func versions(_ peers: [any Peer]) -> String {
    let packages =
      Set(peers.flatMap(\.needs).map(\.package)).sorted() + [
        "wrk", "apache2-utils", "nghttp2-client", "httperf", "siege",
      ]
    let result = try? CommandResult.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"] + packages)
    let found = (result?.output ?? "").split(separator: "\n").filter { $0.split(separator: " ").count == 2 }
    return found.isEmpty ? "Versions are unknown: no dpkg." : "Debian's \(found.joined(separator: ", "))."
  }

  private static func read(_ path: String) -> String {
    ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "?").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Hooks of the machine; the namespaces the servers are in are new and have none of their own.
  private static func hooks() -> String {
    let rules = try? CommandResult.run(["nft", "list", "ruleset"], environment: ["PATH": searchPath])
    let tables = (rules?.output ?? "").split(separator: "\n").filter { $0.hasPrefix("table ") }
    let filter =
      rules == nil || rules?.succeeded == false
      ? "nftables cannot be asked" : tables.isEmpty ? "no nftables rules" : "nftables: \(tables.count) tables"
    let tracking =
      access("/proc/sys/net/netfilter/nf_conntrack_count", R_OK) == 0
      ? "conntrack holds \(read("/proc/sys/net/netfilter/nf_conntrack_count")) connections" : "no conntrack"
    let programs = loadedPrograms()
    let eBPF = programs.isEmpty ? "no eBPF programs" : "eBPF programs: \(programs.joined(separator: ", "))"
    return "Other hooks on this machine: \(filter), \(tracking), \(eBPF); none in the namespaces of the servers."
  }

  /// "3 of type 8", by the kernel's numbers of types (enum bpf_prog_type).
  private static func loadedPrograms() -> [String] {
    var types: [UInt32: Int] = [:]
    // BPF_PROG_GET_NEXT_ID: the number to begin behind, then the next one.
    var attributes: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
    while withUnsafeMutableBytes(of: &attributes, { cbpf_bpf(11, $0.baseAddress, 12) }) >= 0 {
      attributes.0 = attributes.1
      // BPF_PROG_GET_FD_BY_ID.
      var wanted: (UInt32, UInt32, UInt32, UInt32) = (attributes.0, 0, 0, 0)
      let descriptor = withUnsafeMutableBytes(of: &wanted) { cbpf_bpf(13, $0.baseAddress, 12) }
      guard descriptor >= 0 else { continue }
      defer { close(Int32(descriptor)) }
      let lines = read("/proc/self/fdinfo/\(descriptor)").split(separator: "\n")
      guard let line = lines.first(where: { $0.hasPrefix("prog_type:") }),
        let type = UInt32(line.split(separator: "\t").last ?? "")
      else { continue }
      types[type, default: 0] += 1
    }
    return types.sorted { $0.key < $1.key }.map { "\($0.value) of type \($0.key)" }
  }
}
