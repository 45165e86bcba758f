import Foundation
import TestSupport

/// Files are replaced while they are asked for: what is answered is one version as a whole, and never one that was
/// replaced more than a second before.
struct Freshness {
  private let context: FaultContext
  private static let files = 200
  private static let replacementsPerSecond = 20.0
  private static let sources = (10..<18).map { "10.77.0.\($0)" }
  private static let backendPort: UInt16 = 8081

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    for hasBackend in [false, true] {
      for replacement in Replacement.allCases {
        let title = "\(replacement.rawValue), \(hasBackend ? "nginx behind" : "built-in server")"
        context.attempt(title) { try run(replacement, hasBackend: hasBackend, title: title) }
      }
    }
    UntoldChanges(context).run()
  }

  private func run(_ replacement: Replacement, hasBackend: Bool, title: String) throws {
    let count = context.count(500, sample: 60)
    let site = try VersionedSite(files: Self.files, replacement)
    try TestNetwork.withVeth { network in
      try FaultClient.tellApart(network)
      for source in Self.sources { try network.client.ip("address", "add", source + "/24", "dev", "eth0") }
      var backend: NginxServer?
      if hasBackend { backend = try NginxServer(in: network, port: Self.backendPort, root: site.directory.path) }
      let server = try context.serve(network, root: site.directory.path, backendPort: backend?.port)
      // The files become quiet and are learned.
      _ = try run(network, site, duration_s: 3)

      let before = try server.status()
      let load = try VersionLoad(network, targets: site.targets, sources: Self.sources)
      let start_s = monotonicSeconds()
      for number in 0..<count {
        pause(seconds: max(0, start_s + Double(number) / Self.replacementsPerSecond - monotonicSeconds()))
        try site.replace(number % Self.files)
      }
      let duration_s = monotonicSeconds() - start_s
      pause(seconds: 1.5)
      let samples = load.finish()
      let after = try server.status()
      report(
        title, samples, VersionTally(samples, site), replacement, hits: after.hits - before.hits,
        handovers: after.handovers(since: before),
        rate: Double(count) / duration_s)
    }
  }

  private func run(_ network: TestNetwork, _ site: VersionedSite, duration_s: Double) throws -> [VersionSample] {
    let load = try VersionLoad(network, targets: site.targets, sources: Self.sources)
    pause(seconds: duration_s)
    return load.finish()
  }

  private func report(
    _ title: String, _ samples: [VersionSample], _ tally: VersionTally, _ replacement: Replacement, hits: Int,
    handovers: String,
    rate: Double
  ) {
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
      title,
      promise: replacement == .inPlace
        ? "not torn by the kernel part, old for at most 1 s, most are hits"
        : "never torn, old for at most 1 s, most are hits",
      measured: measured,
      kept: wholeEnough && isTold && tally.stale == 0 && tally.impossible == 0 && hits * 2 > tally.answers)
  }
}
