import Foundation
import TestSupport

/// Minutes under all kinds of load at once, while files change, the configuration is read again and clients vanish: do
/// memory and descriptors stay what they were, and is every request answered?
struct Soak {
  private let context: FaultContext
  private static let tlsPort = 443
  /// What memory may have grown by from the end of the warm-up to the end: one part in so many, and a little for both.
  private static let growthDivisor = 10
  private static let growth_KB = 4096
  /// The same for descriptors. Large files that were asked for stay open; all of them are open after the warm-up.
  private static let descriptorGrowth = 4

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    let warmUp_s = context.count(60, sample: 6)
    let duration_s = context.count(300, sample: 20)
    let site = try VersionedSite(files: 50, .rename)
    try site.directory.write(Array(repeating: UInt8(ascii: "s"), count: 900), to: "small.txt")
    try site.directory.write(Array(repeating: UInt8(ascii: "m"), count: 60_000), to: "medium.bin")
    try site.directory.write(Array(repeating: UInt8(ascii: "l"), count: 4_000_000), to: "large.bin")
    let settings = try ScratchDirectory("soak")
    try Self.write(settings, round: 0)
    try TestNetwork.withVeth { network in
      let certificate = try TestCertificate(for: ["apus.test"], address: network.serverAddress)
      // A port used again in TIME-WAIT would be left to the kernel.
      try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
      let server = try context.serve(
        network, root: site.directory.path,
        arguments: [
          "--config", settings.path(of: "apus.yaml"), "--tls", "\(network.serverAddress):\(Self.tlsPort)",
          "--certificate", certificate.certificate, "--key", certificate.key,
        ])
      try context.warm(server, Array(site.targets.prefix(5)), over: network)
      let warmUp = try load(network, server, site, settings, duration_s: warmUp_s)
      let before = try rest(server)
      let main = try load(network, server, site, settings, duration_s: duration_s - warmUp_s)
      let after = try rest(server)
      report(duration_s, site, warmUp: warmUp, main, from: before, to: after)
    }
  }

  /// A header rule that changes with each round, so that both halves have something to do.
  private static func write(_ settings: ScratchDirectory, round: Int) throws {
    let text = "site:\n  headers:\n    - {path: '**', fields: {X-Round: \(round)}}\n"
    try settings.replace("apus.yaml", with: text.utf8)
  }

  // MARK: Load

  /// What came of a stretch of load.
  private struct Outcome {
    var samples: [VersionSample] = []
    /// Of wrk and h2load.
    var requests = 0
    var failures = 0
    var reloads = 0
    var failedReloads = 0
    var changes = 0
    var vanished = 0
    var hits = 0
    /// The most there were while it went on.
    var descriptors = 0
  }

  private func load(
    _ network: TestNetwork, _ server: ApusProcess, _ site: VersionedSite, _ settings: ScratchDirectory, duration_s: Int
  ) throws -> Outcome {
    var outcome = Outcome()
    let hits = try server.status().hits
    let checked = try VersionLoad(network, targets: site.targets, threads: 4, pause_s: 0.002)
    let vanishing = try vanish(network)
    let commands = try start(network, duration_s: duration_s)
    let end_s = monotonicSeconds() + Double(duration_s)
    while monotonicSeconds() < end_s {
      try site.replace(outcome.changes % site.targets.count)
      outcome.changes += 1
      if outcome.changes % 20 == 0 {
        outcome.reloads += 1
        try Self.write(settings, round: outcome.reloads)
        if try !server.control("reload").succeeded { outcome.failedReloads += 1 }
        outcome.descriptors = max(outcome.descriptors, try Self.descriptors(server))
      }
      pause(seconds: 0.1)
    }
    for command in commands {
      guard try command.wait(timeout_s: 30) == .exited(0) else { throw SupportError(command.transcript) }
      let (requests, failures) = try Self.result(command)
      outcome.requests += requests
      outcome.failures += failures
    }
    outcome.vanished = vanishing.finish()
    outcome.samples = checked.finish()
    outcome.hits = try server.status().hits - hits
    return outcome
  }

  /// wrk for hits, hand-overs and large files, h2load for HTTP/2: at rates that leave room for the rest.
  private func start(_ network: TestNetwork, duration_s: Int) throws -> [RunningProcess] {
    let http = "http://\(network.serverAddress)"
    let https = "https://\(network.serverAddress):\(Self.tlsPort)"
    return try [
      // A connection that was handed over, as by a reload, is not the kernel part's any more; so a new one each time.
      ["wrk", "-t1", "-c4", "-d\(duration_s)s", "-H", "Connection: close", http + "/small.txt"],
      ["wrk", "-t1", "-c4", "-d\(duration_s)s", http + "/medium.bin"],
      ["wrk", "-t1", "-c1", "-d\(duration_s)s", http + "/large.bin"],
      ["h2load", "-D", "\(duration_s)", "-c", "4", "-m", "8", "-t", "1", https + "/medium.bin", https + "/file-1.txt"],
    ].map { try network.client.start(["nice"] + $0) }
  }

  /// Requests answered, and failures, by what the command says of itself.
  private static func result(_ command: RunningProcess) throws -> (requests: Int, failures: Int) {
    var requests: Int?
    var failures = 0
    for line in command.standardOutput.split(separator: "\n") {
      let words = line.split { " ,".contains($0) }
      if words.count > 2, words[1] == "requests", words[2] == "in" { requests = Int(words[0]) }
      // h2load: "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout"
      if words.first == "requests:", words.count == 15 {
        requests = Int(words[7])
        failures += [9, 11, 13].compactMap { Int(words[$0]) }.reduce(0, +)
      }
      // h2load: "status codes: 9 2xx, 0 3xx, 0 4xx, 0 5xx"
      if line.hasPrefix("status codes:") { failures += [4, 6, 8].compactMap { Int(words[$0]) }.reduce(0, +) }
      if words.first == "Non-2xx" || words.starts(with: ["Socket", "errors:"]) {
        failures += words.compactMap { Int($0) }.reduce(0, +)
      }
    }
    guard let requests else { throw SupportError("no count of requests: \(command.transcript)") }
    return (requests, failures)
  }

  // MARK: Clients that vanish

  private final class Vanishing {
    let stop: StopFlag
    let crew: Crew<Int>

    init(_ stop: StopFlag, _ crew: Crew<Int>) {
      self.stop = stop
      self.crew = crew
    }

    func finish() -> Int {
      stop.set()
      return crew.wait().reduce(0, +)
    }
  }

  /// Two threads of clients that go in the middle: of a head, of a large answer, of a handshake, of a connection that is
  /// kept; by FIN and by RST in turns.
  private func vanish(_ network: TestNetwork) throws -> Vanishing {
    let address = network.serverAddress
    let stop = StopFlag()
    let get = { (target: String) in Array("GET \(target) HTTP/1.1\r\nHost: apus.test\r\n\r\n".utf8) }
    let beginnings: [(port: UInt16, bytes: [UInt8], reads: Bool)] = [
      (80, Array("GET /file-2.txt HTTP/1.1\r\nHo".utf8), false), (80, get("/large.bin"), true),
      (80, get("/file-3.txt"), true), (80, get("/large.bin") + get("/medium.bin"), false), (80, [], false),
      (UInt16(Self.tlsPort), [22, 3, 1, 2, 0, 1], false), (UInt16(Self.tlsPort), [], false),
    ]
    let crew = try Crew(2, in: network.client) { thread in
      var count = 0
      while !stop.isSet {
        let beginning = beginnings[(count + thread) % beginnings.count]
        if let client = try? FaultClient(to: address, port: beginning.port, timeout_s: 2) {
          client.vanish(after: beginning.bytes, reads: beginning.reads, byReset: count % 2 == 0)
          count += 1
        }
        pause(seconds: 0.01)
      }
      return count
    }
    return Vanishing(stop, crew)
  }

  // MARK: Figures

  private struct Rest {
    var resident_KB: Int
    var data_KB: Int
    var descriptors: Int
  }

  private static func descriptors(_ server: ApusProcess) throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(server.process.pid)/fd").count
  }

  /// What the daemon has once the connections of the load have ended.
  private func rest(_ server: ApusProcess) throws -> Rest {
    var fewest = try Self.descriptors(server)
    // What lingers (`timeouts.linger`) ends within 2 s.
    for _ in 0..<40 {
      pause(seconds: 0.1)
      fewest = min(fewest, try Self.descriptors(server))
    }
    let status = try String(contentsOfFile: "/proc/\(server.process.pid)/status", encoding: .utf8)
    func value(_ name: String) throws -> Int {
      guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name + ":") }),
        let number = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
      else { throw SupportError("/proc/PID/status has no \(name)") }
      return number
    }
    return Rest(resident_KB: try value("VmRSS"), data_KB: try value("VmData"), descriptors: fewest)
  }

  private func report(
    _ duration_s: Int, _ site: VersionedSite, warmUp: Outcome, _ main: Outcome, from before: Rest, to after: Rest
  ) {
    let tally = VersionTally(warmUp.samples + main.samples, site)
    let both = [warmUp, main]
    func sum(_ value: (Outcome) -> Int) -> Int { both.reduce(0) { $0 + value($1) } }
    let failures = sum(\.failures) + tally.failures.values.reduce(0, +)
    let wrong = tally.tornByKernelPart + tally.tornByServer + tally.impossible + tally.stale
    let title = "\(duration_s) s"
    context.add(
      title, promise: "no request fails but those of clients that vanish, nothing stale or torn",
      measured: "\(sum(\.requests) + tally.answers) requests, \(sum(\.hits)) hits; \(failures) failed"
        + "\(tally.failures.isEmpty ? "" : " (\(tally.failureText))"), \(wrong) wrong; \(sum(\.changes)) changed "
        + "files, \(sum(\.reloads)) reloads, \(sum(\.failedReloads)) failed; \(sum(\.vanished)) clients vanished",
      kept: failures == 0 && wrong == 0 && sum(\.failedReloads) == 0 && sum(\.vanished) > 0 && sum(\.hits) > 0)
    func isFlat(_ old: Int, _ new: Int) -> Bool { new <= old + old / Self.growthDivisor + Self.growth_KB }
    context.add(
      title, promise: "memory and descriptors at the end as after the warm-up (10 % + 4 MB; 4 descriptors)",
      measured: "resident \(before.resident_KB) -> \(after.resident_KB) KB, data \(before.data_KB) -> "
        + "\(after.data_KB) KB, descriptors \(before.descriptors) -> \(after.descriptors) (under load up to "
        + "\(main.descriptors))",
      kept: isFlat(before.resident_KB, after.resident_KB) && isFlat(before.data_KB, after.data_KB)
        && after.descriptors <= before.descriptors + Self.descriptorGrowth)
  }
}
