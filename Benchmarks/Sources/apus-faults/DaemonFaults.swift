import Foundation
import TestSupport

/// The daemon is killed, stopped, starved and deprived of what it stands on, under load.
struct DaemonFaults {
  let context: FaultContext
  static let backendPort: UInt16 = 8081
  private static let files = 20
  /// The kernel part goes by a clock of its own that ticks every few milliseconds; a stopped thread ends its turn.
  private static let margin_s = 0.1

  init(_ context: FaultContext) { self.context = context }

  func run() {
    context.attempt("kill -9") { try killed() }
    context.attempt("SIGSTOP, SIGCONT, built-in server") { try stopped(hasBackend: false) }
    context.attempt("SIGSTOP, SIGCONT, nginx behind") { try stopped(hasBackend: true) }
    context.attempt("hung invalidation task") { try hung() }
    context.attempt("root deleted") { try rootDeleted() }
    context.attempt("out of descriptors") { try outOfDescriptors() }
    context.attempt("two daemons on one port") { try twoDaemons() }
    context.attempt("two daemons on one interface") { try twoDaemonsOnOneInterface() }
    context.attempt("interface vanishes") { try interfaceVanishes() }
    context.attempt("out of memory budget") { try outOfBudget() }
    context.attempt("full disk") { try fullDisk() }
    context.attempt("clock stepped") { try clockStepped() }
  }

  // MARK: The process

  /// Nothing of a killed daemon answers any more; a new one does, and knows of what changed in between.
  private func killed() throws {
    let site = try VersionedSite(files: Self.files, .rename)
    try TestNetwork.withVeth { network in
      try FaultClient.tellApart(network)
      let first = try context.serve(network, root: site.directory.path)
      try context.warm(first, site.targets, over: network)
      let load = try VersionLoad(network, targets: site.targets, timeout_s: 2, pause_s: 0.001)
      pause(seconds: 1)
      let killed_s = monotonicSeconds()
      first.kill()
      pause(seconds: 0.5)
      for file in 0..<Self.files { try site.replace(file) }
      pause(seconds: 2)
      let between = load.finish()
      let replaced_s = monotonicSeconds()

      let second = try context.serve(network, root: site.directory.path)
      try context.warm(second, site.targets, over: network)
      let again = try VersionLoad(network, targets: site.targets, pause_s: 0.001)
      pause(seconds: 1)
      let after = again.finish()
      let tally = VersionTally(between + after, site)
      let late = between.count { $0.isAnswer && $0.sent_s > killed_s + 2 }
      let last_s = between.filter(\.isAnswer).map(\.sent_s).max() ?? 0
      let refused = between.count { $0.isRefused }
      let old = after.count { !$0.isAnswer || $0.age_s(site, at: replaced_s) ?? 0 > 0 }
      context.add(
        "kill -9", promise: "within 2 s refused; after a restart hits, nothing stale",
        measured: "last answer asked for \(format((last_s - killed_s) * 1000)) ms after it, then \(refused) refused; "
          + "after the restart \(after.count { $0.isFromKernelPart }) hits of \(after.count), \(old) stale or failed; "
          + "torn \(tally.torn), stale \(tally.stale)",
        kept: late == 0 && refused > 0 && old == 0 && tally.torn == 0 && tally.stale == 0
          && after.count { $0.isFromKernelPart } * 2 > after.count)
    }
  }

  /// A stopped daemon: after 2 s everything is handed over, to nginx, which answers, or to the built-in server's
  /// listener, where it waits.
  private func stopped(hasBackend: Bool) throws {
    let title = "SIGSTOP, SIGCONT, \(hasBackend ? "nginx behind" : "built-in server")"
    try stalled(
      title, hasBackend: hasBackend, limit_s: 2, promise: "handed over after 2 s, nothing stale, hits after SIGCONT"
    ) { server, body in
      server.process.signal(SIGSTOP)
      defer { server.process.signal(SIGCONT) }
      try body()
    }
  }

  /// Only the thread that knows of file changes hangs.
  private func hung() throws {
    try stalled(
      "hung invalidation task", hasBackend: false, limit_s: 3,
      promise: "handed over after 3 s, nothing stale, then hits"
    ) { server, body in
      let thread = try Self.thread("apus-watch", of: server.process.pid)
      // ptrace(2) is for the thread that began it; `stalled` stays on this one.
      try ThreadControl.whileStopped(thread, body)
    }
  }

  private static func thread(_ name: String, of process: pid_t) throws -> Int32 {
    let directory = "/proc/\(process)/task"
    for task in try FileManager.default.contentsOfDirectory(atPath: directory) {
      let found = try String(contentsOfFile: "\(directory)/\(task)/comm", encoding: .utf8)
      if found == name + "\n", let number = Int32(task) { return number }
    }
    throw SupportError("process \(process) has no thread named \(name)")
  }

  /// Runs load, stops what `stall` stops for 4 s, replaces all files as soon as it is stopped, and lets it go on.
  private func stalled(
    _ title: String, hasBackend: Bool, limit_s: Double, promise: String,
    _ stall: (ApusProcess, () throws -> Void) throws -> Void
  ) throws {
    let site = try VersionedSite(files: Self.files, .rename)
    try TestNetwork.withVeth { network in
      try FaultClient.tellApart(network)
      var backend: NginxServer?
      if hasBackend { backend = try NginxServer(in: network, port: Self.backendPort, root: site.directory.path) }
      let server = try context.serve(network, root: site.directory.path, backendPort: backend?.port)
      try context.warm(server, site.targets, over: network)
      let load = try VersionLoad(network, targets: site.targets, pause_s: 0.001)
      pause(seconds: 1)
      var stopped_s = 0.0
      try stall(server) {
        stopped_s = monotonicSeconds()
        for file in 0..<Self.files { try site.replace(file) }
        pause(seconds: 4)
      }
      let continued_s = monotonicSeconds()
      pause(seconds: 3)
      let samples = load.finish()

      // While the daemon stands still an old version may be answered as long as its heartbeat counts, and not longer.
      // What waited for it, and what came after, must be of the new version.
      let late = samples.filter { $0.sent_s > stopped_s + limit_s + Self.margin_s }
      let byKernelPart = late.count { $0.isFromKernelPart && $0.sent_s < continued_s }
      let old = late.count { ($0.age_s(site, at: $0.sent_s) ?? 0) > 0 }
      let failed = samples.count { !$0.isAnswer }
      let during = late.count { $0.isAnswer && $0.received_s < continued_s }
      let hits = samples.count { $0.isFromKernelPart && $0.sent_s > continued_s }
      let torn = VersionTally(samples, site).torn
      context.add(
        title, promise: promise,
        measured: "later than \(format(limit_s)) s: \(byKernelPart) from the kernel part, \(during) from the server "
          + "behind; \(old) stale, \(torn) torn, \(failed) failed of \(samples.count); \(hits) hits afterwards",
        kept: byKernelPart == 0 && old == 0 && torn == 0 && failed == 0 && hits > 0 && (!hasBackend || during > 0))
    }
  }
}

extension VersionSample {
  var isAnswer: Bool {
    switch outcome {
    case .version, .torn, .status: true
    case .failed: false
    }
  }

  var isRefused: Bool {
    if case .failed(.connect(ECONNREFUSED)) = outcome { return true }
    return false
  }

  /// For how long its version had been replaced.
  func age_s(_ site: VersionedSite, at time_s: Double) -> Double? {
    guard case .version(let version) = outcome else { return nil }
    return site.age_s(of: version, entry: entry, at: time_s)
  }
}

extension VersionTally {
  var torn: Int { tornByKernelPart + tornByServer }
}
