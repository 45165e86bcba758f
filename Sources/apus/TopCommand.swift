import ApusServer
import ArgumentParser
import Glibc

/// `apus top`.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Watch a running server: what it does in a second, and why requests are handed over.",
    discussion: "Until Ctrl-C. Into a file or a pipe it writes one table after another.")

  @Option(help: ArgumentHelp("Seconds between two looks.", valueName: "seconds"))
  var interval = 1.0

  @Option(help: ArgumentHelp("Looks before it ends. (default: no end)", valueName: "number"))
  var count: Int?

  @OptionGroup var admin: AdminOptions

  /// A look costs the server next to nothing; more of them nobody can read.
  static let interval_s_min = 0.1
  static let interval_s_max = 3600.0

  func validate() throws {
    guard (Self.interval_s_min...Self.interval_s_max).contains(interval) else {
      throw ValidationError("--interval \(interval) is not from \(Self.interval_s_min) to \(Int(Self.interval_s_max))")
    }
    if let count, count < 1 { throw ValidationError("--count \(count) would show nothing") }
  }

  func run() throws {
    let client = try admin.client()
    let isTerminal = isatty(STDOUT_FILENO) == 1
    var looks = 0
    var last = (status: try client.status(), at: ContinuousClock.now)
    while looks < count ?? .max {
      usleep(UInt32(interval * 1e6))
      let status = try client.status()
      let now = ContinuousClock.now
      let text = TopText(from: last.status, to: status, seconds: (now - last.at) / .seconds(1))
      // Home, and each line to its end: what stands there is written over, not made to flicker.
      let lines = isTerminal ? ["\u{1b}[H"] + text.lines.map { $0 + "\u{1b}[K" } + ["\u{1b}[J"] : text.lines + [""]
      print(lines.joined(separator: isTerminal ? "\r\n" : "\n"))
      fflush(nil)
      last = (status, now)
      looks += 1
    }
  }
}

/// What happened between two looks at a server.
struct TopText {
  private(set) var lines: [String] = []
  private let seconds: Double

  /// - Parameter seconds: between the two.
  init(from old: ServerStatus, to new: ServerStatus, seconds: Double) {
    self.seconds = max(seconds, 1e-3)
    // Another process: it has counted from zero.
    let old = new.uptime_s < old.uptime_s ? nil : old
    let mode = new.mode == .kernel ? "kernel mode: \(new.interfaces.joined(separator: ", "))" : "user mode"
    lines.append("apus \(new.directory) (\(mode)), up for \(StatusText.duration(new.uptime_s))")
    lines.append("")
    lines.append(Self.columns("", "a second", "total"))
    if new.mode == .kernel { append(old?.kernel ?? KernelStatus(), new.kernel) }
    if let server = new.server {
      let requests = server.requests ?? 0
      row("requests to the user half", old?.server?.requests ?? 0, requests)
      lines.append(Self.columns("  connections", "", "\(server.connections)"))
    }
    let cache = new.cache
    let percent =
      cache.budget > 0 ? ", \(cache.bytesUsed * 100 / cache.budget) % of \(ByteSize(bytes: cache.budget))" : ""
    lines += ["", "cache: \(cache.objects) objects, \(cache.bytes) bytes\(percent)"]
    row("  stored", old?.cache.insertions ?? 0, cache.insertions)
    row("  evicted", old?.cache.evictions ?? 0, cache.evictions)
    row("  invalidated", old?.cache.invalidations ?? 0, cache.invalidations)
  }

  private mutating func append(_ old: KernelStatus, _ new: KernelStatus) {
    let (oldHandovers, handovers) = (old.handovers.values.reduce(0, +), new.handovers.values.reduce(0, +))
    row("hits", old.hits, new.hits)
    row("  not modified", old.notModified, new.notModified)
    let (hits, others) = (new.hits - old.hits, handovers - oldHandovers)
    let share = hits + others > 0 ? "\((hits * 1000 / (hits + others)).tenths) %" : "-"
    lines.append(Self.columns("  share of all requests", share, ""))
    row("hand-overs", oldHandovers, handovers)
    append(old.handovers, new.handovers)
    let drops = new.drops.filter { !KernelStatus.normalDrops.contains($0.key) }
    let oldDrops = old.drops.filter { !KernelStatus.normalDrops.contains($0.key) }
    row("dropped packets", oldDrops.values.reduce(0, +), drops.values.reduce(0, +))
    append(oldDrops, drops)
    row("handshakes", old.handshakes, new.handshakes)
    row("retransmissions", old.retransmissions, new.retransmissions)
    lines.append(Self.columns("connections", "", "\(new.connections)"))
  }

  /// Those that ever occurred, in an order that stays.
  private mutating func append(_ old: [String: Int], _ new: [String: Int]) {
    for (reason, count) in new.sorted(by: { $0.key < $1.key }) where count > 0 {
      row("  " + StatusText.words(reason), old[reason] ?? 0, count)
    }
  }

  private mutating func row(_ label: String, _ old: Int, _ new: Int) {
    let rate = Double(new - old) / seconds
    let text = rate == 0 || rate >= 10 ? "\(Int(rate.rounded()))" : Int((rate * 10).rounded()).tenths
    lines.append(Self.columns(label, text, "\(new)"))
  }

  private static func columns(_ label: String, _ rate: String, _ total: String) -> String {
    func right(_ text: String) -> String { String(repeating: " ", count: max(1, 14 - text.count)) + text }
    return label + String(repeating: " ", count: max(1, 28 - label.count)) + right(rate) + right(total)
  }
}

extension Int {
  /// 123 -> `12.3`
  fileprivate var tenths: String { "\(self / 10).\(self % 10)" }
}
