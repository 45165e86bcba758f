import Foundation
import TestSupport

/// Files are replaced while they are asked for: what is answered is one version as a whole, and never one that was
/// replaced more than a second before.
struct Freshness {
  private let context: FaultContext
  private static let replacementsPerSecond = 20.0
  /// So many that none of them uses a port again as long as the server's socket for it may be in TIME-WAIT: the kernel
  /// answers there, and its socket ends in TIME-WAIT again.
  private static let sources = (10..<74).map { "10.77.0.\($0)" }
  private static let backendPort: UInt16 = 8081

  init(_ context: FaultContext) { self.context = context }

  /// What is served, and by whom.
  private struct Case {
    var replacement: Replacement
    var server = Server.builtIn
    var files = 200
    var hasSideCars = false

    enum Server: String, CaseIterable {
      case builtIn = "built-in server"
      case behind = "nginx behind"
      case attached = "attached to nginx, --root"
    }

    var title: String {
      let what = (files == 200 ? [] : ["\(files) files"]) + (hasSideCars ? ["side-cars"] : [])
      return ([replacement.rawValue] + what + [server.rawValue]).joined(separator: ", ")
    }
  }

  func run() throws {
    var cases: [Case] = []
    for server in [Case.Server.builtIn, .behind] {
      cases += Replacement.allCases.map { Case(replacement: $0, server: server) }
    }
    let many = context.count(10_000, sample: 1000)
    cases += [
      Case(replacement: .rename, files: many, hasSideCars: true),
      Case(replacement: .rename, server: .attached, files: many),
      Case(replacement: .rename, server: .attached, hasSideCars: true),
    ]
    for one in cases { context.attempt(one.title) { try run(one) } }
    UntoldChanges(context).run()
  }

  private func run(_ one: Case) throws {
    let count = context.count(500, sample: 60)
    let site = try VersionedSite(files: one.files, one.replacement, hasSideCars: one.hasSideCars)
    try TestNetwork.withVeth { network in
      try FaultClient.tellApart(network)
      for source in Self.sources { try network.client.ip("address", "add", source + "/24", "dev", "eth0") }
      let server = try serve(one, site, network)
      try learn(network, site, server)

      let before = try server.status()
      let load = try VersionLoad(
        network, targets: site.targets, negotiates: site.hasSideCars, sources: Self.sources)
      let start_s = monotonicSeconds()
      for number in 0..<count {
        pause(seconds: max(0, start_s + Double(number) / Self.replacementsPerSecond - monotonicSeconds()))
        try site.replace(number % one.files)
      }
      let duration_s = monotonicSeconds() - start_s
      pause(seconds: 1.5)
      let samples = load.finish()
      let after = try server.status()
      report(
        one, samples, VersionTally(samples, site), hits: after.hits - before.hits,
        handovers: after.handovers(since: before), rate: Double(count) / duration_s)
    }
  }

  private func serve(_ one: Case, _ site: VersionedSite, _ network: TestNetwork) throws -> ApusProcess {
    let root = site.directory.path
    let lines = one.hasSideCars ? "gzip_static on;" : ""
    // A file and its side-car of a kilobyte each, with the heads of all their answers, take a block of 8 KB.
    let size = ["--cache-size", "128M"]
    switch one.server {
    case .builtIn: return try context.serve(network, root: root, arguments: size)
    case .behind:
      let nginx = try NginxServer(in: network, port: Self.backendPort, root: root, serverLines: lines)
      return try context.serve(network, root: root, backendPort: nginx.port, arguments: size)
    case .attached:
      _ = try NginxServer(in: network, port: 80, root: root, serverLines: lines)
      return try ApusProcess(in: network, attachedTo: 80, arguments: ["--root", root] + size, binary: context.apus)
    }
  }

  /// Asks until most files are known: nothing is learned before it has been asked for, and a server behind is asked
  /// itself, more than once for each file.
  private func learn(_ network: TestNetwork, _ site: VersionedSite, _ server: ApusProcess) throws {
    let known = try eventually(timeout_s: 400) {
      let before = try server.status().hits
      let load = try VersionLoad(
        network, targets: site.targets, negotiates: site.hasSideCars, sources: Self.sources)
      pause(seconds: 3)
      let answers = load.finish().count
      return try (server.status().hits - before) * 10 > answers * 9
    }
    guard known else { throw SupportError("not learned: \(try server.control("status").output)") }
  }

  private func report(
    _ one: Case, _ samples: [VersionSample], _ tally: VersionTally, hits: Int, handovers: String, rate: Double
  ) {
    let replacement = one.replacement
    let torn = tally.tornByKernelPart + tally.tornByServer
    let byKernelPart = samples.count { $0.isFromKernelPart }
    // A reader of a file that is being overwritten sees what is there. Only the kernel part must not show it.
    let wholeEnough = replacement == .inPlace ? tally.tornByKernelPart == 0 : torn == 0 && tally.failures.isEmpty
    // Who answered is told from the answers; the kernel part's own count says whether rightly.
    let isTold = abs(byKernelPart - hits) <= max(20, hits / 100)
    var measured = "\(tally.answers) answers, \(percentage(hits, of: tally.answers)) from the kernel part; "
    measured += "torn \(tally.tornByKernelPart) by it, \(tally.tornByServer) by the server; stale \(tally.stale); "
    measured += "oldest \(format(tally.oldest_s * 1000)) ms; handed over: \(handovers); hits again after "
    measured +=
      "\(format(Latencies(tally.relearned_s).percentile_ms(50))) ms (median); \(format(rate, decimals: 1)) replacements/s"
    if tally.impossible > 0 { measured += "; \(tally.impossible) of no version" }
    if !tally.failures.isEmpty { measured += "; \(tally.failureText)" }
    if !isTold { measured += "; \(hits) hits, but \(byKernelPart) answers looked like it" }
    context.add(
      one.title,
      promise: replacement == .inPlace
        ? "not torn by the kernel part, old for at most 1 s, most are hits"
        : "never torn, old for at most 1 s, most are hits",
      measured: measured,
      kept: wholeEnough && isTold && tally.stale == 0 && tally.impossible == 0 && hits * 2 > tally.answers)
  }
}
