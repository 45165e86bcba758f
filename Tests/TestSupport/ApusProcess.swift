import Foundation

/// A running `apus serve` or `apus attach`.
public final class ApusProcess: StoppableServer {
  /// The first line of its standard output.
  public let readyLine: String
  public let process: RunningProcess
  private let binary: String
  private let directory: ScratchDirectory
  private let namespace: NetworkNamespace

  /// The `apus` that was built with the tests, or the one APUS_BINARY names.
  public static let binary: String = {
    if let path = ProcessInfo.processInfo.environment["APUS_BINARY"] { return path }
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes {
      readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    let executable = String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
    return executable[..<(executable.lastIndex(of: "/") ?? executable.startIndex)] + "/apus"
  }()

  /// Starts `apus serve ROOT --listen SERVER:PORT` and waits for its ready line.
  ///
  /// - Parameters:
  ///   - mode: of `--mode`.
  ///   - backendPort: of `--backend`, at the server's address.
  ///   - arguments: further ones.
  ///   - commandPrefix: put before the command.
  ///   - binary: the `apus` to run.
  public convenience init(
    in network: TestNetwork, root: String, port: UInt16 = 80, mode: String = "kernel", backendPort: UInt16? = nil,
    arguments: [String] = [], commandPrefix: [String] = [], binary: String = ApusProcess.binary
  ) throws {
    var command = ["serve", root, "--listen", network.server(port: port), "--mode", mode]
    if let backendPort { command += ["--backend", network.server(port: backendPort)] }
    try self.init(
      in: network, command: command + arguments, ready: "apus: serving ", commandPrefix: commandPrefix, binary: binary)
  }

  /// Starts `apus attach SERVER:PORT` and waits for its ready line.
  public convenience init(
    in network: TestNetwork, attachedTo port: UInt16, arguments: [String] = [], binary: String = ApusProcess.binary
  ) throws {
    try self.init(
      in: network, command: ["attach", network.server(port: port)] + arguments, ready: "apus: attached to ",
      commandPrefix: [], binary: binary)
  }

  private init(
    in network: TestNetwork, command: [String], ready: String, commandPrefix: [String], binary: String
  ) throws {
    self.binary = binary
    namespace = network.server
    directory = try ScratchDirectory("admin")
    process = try namespace.start(
      commandPrefix + [binary] + command + ["--admin", directory.path(of: "admin.sock")])
    network.adopt(process)
    readyLine = try process.waitForLine(beginning: "apus: ")
    guard readyLine.hasPrefix(ready) else { throw SupportError("not ready: \(process.transcript)") }
  }

  public var adminPath: String { directory.path(of: "admin.sock") }

  /// Runs a subcommand that talks to this server: `control("purge", "--all")`.
  public func control(_ arguments: String...) throws -> CommandResult {
    try namespace.run([binary] + arguments + ["--admin", adminPath], timeout_s: 10)
  }

  public func status() throws -> StatusReport {
    let result = try control("status", "--json").orThrow()
    do {
      return try JSONDecoder().decode(StatusReport.self, from: Data(result.output.utf8))
    } catch {
      throw SupportError("status: \(error)\n\(result.output)")
    }
  }

  /// The status once it satisfies a condition, or as it is after `timeout_s`: counters are read without stopping the
  /// kernel part, so a test that just saw an answer may be a moment early.
  public func status(
    timeout_s: Double = 5, when condition: (StatusReport) -> Bool
  ) throws -> StatusReport {
    var report = try status()
    _ = try eventually(timeout_s: timeout_s) {
      if condition(report) { return true }
      report = try status()
      return condition(report)
    }
    return report
  }

  /// Requests targets until each is answered by the kernel part.
  ///
  /// A file whose ctime is only moments old is not stored yet, so this may take a second or two.
  public func warm(_ targets: [String], over network: TestNetwork, port: UInt16 = 80, timeout_s: Double = 15) throws {
    for target in targets {
      let hit = try eventually(timeout_s: timeout_s, every: 0.05) {
        // One at a time and nobody else asks, so that the one hit must be ours.
        let before = try status().hits
        // A connection of its own: one that missed belongs to the server behind.
        _ = try RawClient(network, port: port).get(target)
        return try status().hits > before
      }
      guard hit else {
        let report = try status()
        throw SupportError("\(target) is never answered by the kernel part: \(report)\n\(process.transcript)")
      }
    }
  }

  /// Asks it to end (SIGTERM) and waits.
  @discardableResult
  public func stop() throws -> Termination { try process.stop() }

  public func kill() { process.kill() }
}
