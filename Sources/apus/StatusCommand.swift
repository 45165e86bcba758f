import ApusServer
import ArgumentParser
import FoundationEssentials

/// `apus status`.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show what a running server does, and has done.")

  @Flag(help: "As JSON, for programs.")
  var json = false

  @OptionGroup var admin: AdminOptions

  func run() throws {
    let status = try admin.client().status()
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(status), as: UTF8.self))
    } else {
      print(StatusText(status).lines.joined(separator: "\n"))
    }
  }
}

/// A server's status for people.
struct StatusText {
  private(set) var lines: [String] = []

  init(_ status: ServerStatus) {
    row("mode", mode(of: status))
    row("serving", status.directory)
    for address in status.listen { row("listening at", "http://\(address)") }
    if let backend = status.backend { row("server behind", backend) }
    row("up for", Self.duration(status.uptime_s))
    if status.mode == .kernel { append(status.kernel) }
    append(status.cache)
    if let server = status.server {
      section("user half")
      row("connections", server.connections)
      if let requests = server.requests { row("requests", requests) }
    }
    if let log = status.accessLog { append(log) }
  }

  private func mode(of status: ServerStatus) -> String {
    switch status.mode {
    case .kernel: "kernel (\(status.interfaces.joined(separator: ", ")))"
    case .user: "user" + (status.reason.map { " (\($0))" } ?? "")
    }
  }

  private mutating func append(_ kernel: KernelStatus) {
    section("kernel half")
    row("hits", kernel.hits)
    row("  not modified", kernel.notModified)
    let handovers = kernel.handovers.values.reduce(0, +)
    row("hand-overs", handovers)
    append(reasons: kernel.handovers)
    let drops = kernel.drops.filter { !KernelStatus.normalDrops.contains($0.key) }
    row("dropped packets", drops.values.reduce(0, +))
    append(reasons: drops)
    row("connections", kernel.connections)
    row("handshakes", kernel.handshakes)
    row("retransmissions", kernel.retransmissions)
    row("resets", kernel.resets)
    if kernel.leftForRoute > 0 { row("left for their route", kernel.leftForRoute) }
    row("miss events", kernel.missEvents)
    if kernel.missEventsLost > 0 { row("  lost", kernel.missEventsLost) }
  }

  /// Those that occurred, the most frequent first.
  private mutating func append(reasons: [String: Int]) {
    let occurred = reasons.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    for (reason, count) in occurred { row("  " + Self.words(reason), count) }
  }

  private mutating func append(_ cache: CacheStatus) {
    section("cache")
    row("objects", cache.objects)
    row("bytes", cache.bytes)
    let percent = cache.budget > 0 ? " (\(cache.bytesUsed * 100 / cache.budget) % in use)" : ""
    row("budget", "\(ByteSize(bytes: cache.budget))\(percent)")
    row("stored", cache.insertions)
    row("evicted", cache.evictions)
    row("refused", cache.refusals)
    row("invalidated", cache.invalidations)
  }

  private mutating func append(_ log: AccessLogStatus) {
    section("access log")
    row("file", log.path == "-" ? "standard output" : log.path)
    row("lines", log.lines)
    row("lost", log.lost)
    guard log.lost > 0 else { return }
    for (place, count) in [
      ("in the kernel half", log.lostInKernel), ("in the queue", log.lostInQueue), ("in writing", log.lostInWriting),
    ] where count > 0 { row("  \(place)", count) }
  }

  private mutating func section(_ title: String) { lines += ["", title] }

  private mutating func row(_ label: String, _ value: some CustomStringConvertible) {
    let width = 30
    lines.append(label + String(repeating: " ", count: max(1, width - label.count)) + value.description)
  }

  /// `notYetAccepted` -> `not yet accepted`.
  static func words(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? " " + $1.lowercased() : String($1) }
  }

  static func duration(_ seconds: Int) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days) d \(hours) h" }
    if hours > 0 { return "\(hours) h \(minutes) min" }
    return minutes > 0 ? "\(minutes) min \(seconds % 60) s" : "\(seconds) s"
  }
}
