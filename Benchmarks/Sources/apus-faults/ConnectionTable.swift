import Foundation
import TestSupport

/// A million clients shake hands, ask once, and are never heard of again: what do they cost, and do others notice?
struct ConnectionTable {
  private let context: FaultContext
  private static let target = "/checked-1.css"
  private static let rounds = 7

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    let files = try CheckedFiles(count: 10)
    // The same server twice, so that full and empty are measured in turns and the machine's noise meets both.
    try TestNetwork.withVeth { full in
      try TestNetwork.withVeth { empty in
        let servers = try [full, empty].map { network in
          try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
          let server = try context.serve(network, root: files.root)
          try context.warm(server, files.targets, over: network)
          return server
        }
        try fill(full, servers[0])
        try compare((full, servers[0]), (empty, servers[1]))
      }
    }
  }

  // MARK: Filling

  private func fill(_ network: TestNetwork, _ server: ApusProcess) throws {
    let tuples = context.count(1_000_000, sample: 150_000)
    var strangers = try Strangers(network, target: Self.target)
    try wait(for: &strangers, number: tuples, at: server)
    strangers.answered = 0
    let before = try server.status()
    let start_s = monotonicSeconds()
    for first in stride(from: 0, to: tuples, by: RawSender.batch) {
      strangers.visit(first..<min(first + RawSender.batch, tuples))
    }
    let duration_s = monotonicSeconds() - start_s
    let after = try server.status()
    let map = try ConnectionMap(of: server)
    let kept = after.kernel?.connections ?? -1
    let handovers = after.handovers(since: before)
    context.add(
      "\(tuples) tuples", promise: "each answered; the table keeps its limit",
      measured: "\(strangers.answered) answered, \(after.hits - before.hits) hits, in \(format(duration_s)) s; "
        + "\(kept) connections kept of at most \(map.entriesMax); \(map.bytes / map.entriesMax) bytes of memory a "
        + "connection, \(map.bytes >> 20) MB in all" + (handovers.isEmpty ? "" : "; handed over: \(handovers)"),
      // A few may be lost where the sender outruns a queue.
      kept: strangers.answered >= tuples - tuples / 100 && after.hits - before.hits >= tuples - tuples / 100
        && kept <= map.entriesMax && kept > map.entriesMax / 2)
  }

  /// The daemon learns a moment later of the route to the strangers. Whom the kernel part leaves to the kernel until then
  /// stays with the built-in server as an idle connection, and so many would be more than that serves.
  private func wait(for strangers: inout Strangers, number: Int, at server: ApusProcess) throws {
    var next = number
    let isKnown = try eventually(timeout_s: 10, every: 0.2) {
      let hits = try server.status().hits
      strangers.visit(next..<next + 1)
      next += 1
      return try server.status().hits > hits
    }
    guard isKnown else { throw SupportError("strangers are not answered by the kernel part") }
  }

  // MARK: Comparing

  private func compare(
    _ full: (network: TestNetwork, server: ApusProcess), _ empty: (network: TestNetwork, server: ApusProcess)
  ) throws {
    var ratios: [Double] = []
    var rates: [[Double]] = [[], []]
    var requests = [0, 0]
    let hitsBefore = try [full, empty].map { try $0.server.status().hits }
    for round in 0..<context.count(Self.rounds, sample: 3) {
      var rate = [0.0, 0.0]
      // Who is first changes from round to round.
      for turn in 0..<2 {
        let index = (turn + round) % 2
        let network = [full.network, empty.network][index]
        // A connection per request: each takes an entry of the table.
        let load = try network.client.ab(
          "http://\(network.serverAddress)\(Self.target)", requests: 10_000_000, concurrency: 8, duration_s: 2)
        guard load.failures == 0 else { throw SupportError("requests failed: \(load.output)") }
        rate[index] = load.requestsPerSecond
        rates[index].append(load.requestsPerSecond)
        requests[index] += load.requests
      }
      ratios.append(rate[0] / rate[1])
    }
    let hits = try zip([full, empty], hitsBefore).map { try $0.server.status().hits - $1 }
    let ratio = ratios.sorted()[ratios.count / 2]
    context.add(
      "hits with a full table", promise: "rate and share within 10 % of those with an empty one",
      measured: "\(format(median(rates[0]))) against \(format(median(rates[1]))) requests/s, a connection each; median "
        + "of the ratios \(format(ratio, decimals: 2)); share of hits \(percentage(hits[0], of: requests[0])) against "
        + percentage(hits[1], of: requests[1]),
      // Rates are for the whole measurement on a quiet machine.
      kept: hits[0] * 10 >= requests[0] * 9 && (context.isSample || ratio >= 0.9))
  }

}

/// Clients of addresses that are nobody's, each with one connection and one request.
struct Strangers {
  var answered = 0
  private let sender: RawSender
  private let request: [UInt8]
  /// A batch comes back within the sender's own system calls; what has not come by then is lost.
  private static let patience_ms: Int32 = 50

  init(_ network: TestNetwork, target: String) throws {
    sender = try RawSender(network)
    request = Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
  }

  /// Shakes hands, asks and reads the answers, for the clients of these numbers.
  mutating func visit(_ numbers: Range<Int>) {
    for number in numbers { sender.add(segment(number, RawSegment.syn)) }
    guard sender.flush() > 0 else { return }
    var asked = 0
    var shaken = 0
    while shaken < numbers.count, let reply = sender.receive(timeout_ms: Self.patience_ms) {
      guard reply.flags == RawSegment.syn | RawSegment.ack else { continue }
      shaken += 1
      sender.add(reply.answer(RawSegment.ack | RawSegment.push), payload: request)
    }
    asked = sender.flush()
    var seen = 0
    while seen < asked, let reply = sender.receive(timeout_ms: Self.patience_ms) {
      // The answers to this request are the only segments with PSH.
      if reply.flags & RawSegment.push != 0 { seen += 1 }
    }
    answered += seen
  }

  private func segment(_ number: Int, _ flags: UInt8) -> RawSegment {
    let number = UInt32(number)
    return RawSegment(
      source: RawSender.strangers + number % RawSender.strangersCount, destination: sender.serverAddress,
      sourcePort: UInt16(10_000 + number / RawSender.strangersCount), destinationPort: 80,
      sequence: number &* 2_654_435_761, flags: flags)
  }
}

extension RawSegment {
  /// The segment that acknowledges a SYN-ACK.
  func answer(_ flags: UInt8) -> RawSegment {
    RawSegment(
      source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort,
      sequence: acknowledgement, acknowledgement: sequence &+ 1, flags: flags)
  }
}

/// The kernel part's map of connections, as the kernel describes it (/proc/PID/fdinfo, kernel/bpf/syscall.c).
struct ConnectionMap {
  let entriesMax: Int
  /// Memory charged for it.
  let bytes: Int

  /// BPF_MAP_TYPE_LRU_HASH of linux/bpf.h; there is only one.
  private static let type = 9

  init(of server: ApusProcess) throws {
    let directory = "/proc/\(server.process.pid)/fdinfo"
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
      guard let text = try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8) else { continue }
      var fields: [Substring: Int] = [:]
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: "\t")
        if parts.count == 2 { fields[parts[0]] = Int(parts[1]) }
      }
      if fields["map_type:"] == Self.type, let entries = fields["max_entries:"], let bytes = fields["memlock:"] {
        entriesMax = entries
        self.bytes = bytes
        return
      }
    }
    throw SupportError("the daemon holds no map of connections")
  }
}
