import Foundation
import TestSupport

/// What surrounds the daemon runs out, or is not what it was.
extension DaemonFaults {
  /// Ten times more objects than the store has room for.
  func outOfBudget() throws {
    let files = try CheckedFiles(count: 1200, linesMax: 900)
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root, arguments: ["--cache-size", "1M"])
      let requests = context.count(40_000, sample: 10_000)
      let load = CheckedLoad(files: files.all, threads: 8, requests: requests, requestsPerConnection: 5, timeout_s: 10)
      let before = try server.status()
      let result = try load.run(network)
      let after = try server.status()
      let hits = after.hits - before.hits
      let cache = after.cache
      context.add(
        "out of memory budget", promise: "objects leave for others, all is answered, nothing wrong",
        measured: "\(files.bodies.reduce(0) { $0 + $1.count } >> 20) MB of files, 1 MB of store: \(result.right) of "
          + "\(requests) right, \(result.wrong) wrong"
          + (result.failures.isEmpty ? "" : ", \(result.failureText)")
          + "; \(hits) hits, \(cache.evictions ?? 0) evictions, \(cache.bytes >> 10) KB stored",
        kept: result.right == requests && result.wrong == 0 && hits > 0 && (cache.evictions ?? 0) > 0
          && cache.bytes <= 1 << 20)
    }
  }

  /// No room for the admin socket: a clear error. No room for messages: that must not matter.
  func fullDisk() throws {
    let files = try CheckedFiles(count: 10)
    try TestNetwork.withVeth { network in
      let place = try ScratchDirectory("full")
      // The one inode of the file system is its root directory. Mounted where only this command sees it.
      let script = """
        mount -t tmpfs -o nr_inodes=1,size=4k full \(place.path)
        exec \(context.apus) serve \(files.root) --listen \(network.serverAddress):80 --mode kernel \
        --admin \(place.path)/admin.sock
        """
      let refused = try network.server.run(["sh", "-c", script], timeout_s: 20)
      let line = refused.error.split(separator: "\n").first { $0.hasPrefix("apus: error: ") }
      let server = try context.serve(
        network, root: files.root, commandPrefix: ["sh", "-c", #"exec "$@" 2>/dev/full"#, "sh"])
      try context.warm(server, files.targets, over: network)
      let load = CheckedLoad(files: files.all, threads: 4, requests: 400, requestsPerConnection: 10, timeout_s: 10)
      let result = try load.run(network)
      let end = try server.stop()
      context.add(
        "full disk", promise: "no admin socket: a clear error; no room for messages: it serves and ends well",
        measured:
          "\(refused.termination), \"\(line ?? "no message")\"; with messages into /dev/full \(result.right) of "
          + "400 right, \(end)",
        kept: refused.termination == .exited(1) && line != nil && result.right == 400 && end == .exited(0))
    }
  }

  /// The daemon's wall clock is a day ahead, then a day behind. Files written then have times in its future.
  func clockStepped() throws {
    let files = try CheckedFiles(count: 10)
    let clock = try ShiftedClock()
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root, commandPrefix: clock.commandPrefix)
      try context.warm(server, files.targets, over: network)
      var measured: [String] = []
      var kept = true
      for days in [1, -1, 0] {
        let hitsBefore = try server.status().hits
        try clock.shift(seconds: days * 86_400)
        pause(seconds: 1)
        let hit = try RawClient(network).get(files.targets[0], fields: "Connection: close\r\n")
        let miss = try RawClient(network).get(files.targets[0] + "?x", fields: "Connection: close\r\n")
        let isHit = try server.status().hits == hitsBefore + 1
        let errors_s = [hit, miss].map { response in
          response.date_s.map { abs($0 - Date().timeIntervalSince1970 - Double(days * 86_400)) } ?? .infinity
        }
        // What is written now is stored as well.
        try files.write()
        let isLearned = (try? context.warm(server, files.targets, over: network)) != nil
        let load = CheckedLoad(files: files.all, threads: 4, requests: 200, requestsPerConnection: 10, timeout_s: 10)
        let result = try load.run(network)
        measured.append(
          "\(days) d: Date of a hit off by \(format(errors_s[0])) s, of a miss by \(format(errors_s[1])) s, "
            + (isLearned ? "new files stored" : "new files not stored") + ", \(result.right) of 200 right")
        kept = kept && isHit && errors_s.allSatisfy { $0 <= 2 } && isLearned && result.right == 200
      }
      context.add(
        "clock stepped", promise: "Date follows within 1 s, files from the future are stored, hits go on",
        measured: measured.joined(separator: "; "), kept: kept)
    }
  }
}

/// A wall clock for one process that can be stepped (`ClockShift`).
private struct ShiftedClock {
  private let directory: ScratchDirectory
  private let library: String

  init() throws {
    directory = try ScratchDirectory("clock")
    let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    library = products.appendingPathComponent("libClockShift.so").path
    guard access(library, R_OK) == 0 else {
      throw SupportError("\(library) does not exist; `swift build -c release --package-path Benchmarks` makes it")
    }
    try directory.write([UInt8](repeating: 0, count: 8), to: "shift")
  }

  var commandPrefix: [String] {
    ["env", "LD_PRELOAD=\(library)", "CLOCKSHIFT_FILE=\(directory.path(of: "shift"))"]
  }

  func shift(seconds: Int) throws {
    let file = open(directory.path(of: "shift"), O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw SupportError.systemCall("open", errno) }
    defer { close(file) }
    // In place: the process has it mapped.
    var value = Int64(seconds)
    guard write(file, &value, 8) == 8 else { throw SupportError.systemCall("write", errno) }
  }
}

extension HTTPResponse {
  /// The Date field, in seconds since 1970.
  fileprivate var date_s: Double? {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.timeZone = TimeZone(secondsFromGMT: 0)
    format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return self["date"].flatMap { format.date(from: $0) }?.timeIntervalSince1970
  }
}
