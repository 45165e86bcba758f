import CTestSupport
import Foundation
import Synchronization

/// A network namespace of a test's own, with lo up, gone with everything that runs in it when the object goes away.
///
/// ``host`` stands for the namespace the tests were started in, where they may only use loopback.
public final class NetworkNamespace {
  /// The name `ip netns` knows it by; nil for ``host``.
  public let name: String?

  private static let counter = Atomic<Int>(0)

  /// - Parameter label: a word in its name. The process id and a counter make the name unique.
  public init(_ label: String) throws {
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    let name = "apus-\(getpid())-\(number)-\(label)"
    self.name = name
    Janitor.shared.remember(namespace: name)
    try CommandResult.run(["ip", "netns", "add", name]).orThrow()
    try ip("link", "set", "lo", "up")
  }

  private init() { name = nil }

  deinit { remove() }

  /// The namespace of this process.
  public static func host() -> NetworkNamespace { NetworkNamespace() }

  private func remove() {
    guard let name else { return }
    if let found = try? CommandResult.run(["ip", "netns", "pids", name]) {
      for pid in found.output.split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGKILL) }
    }
    _ = try? CommandResult.run(["ip", "netns", "del", name])
  }

  /// The command as it must be started to run in this namespace. `ip netns exec` executes it in its own place, so
  /// the process id is the command's.
  public func command(_ arguments: [String]) -> [String] {
    guard let name else { return arguments }
    return ["ip", "netns", "exec", name] + arguments
  }

  /// Runs a command in the namespace to its end.
  public func run(_ arguments: [String], timeout_s: Double = 60) throws -> CommandResult {
    try CommandResult.run(command(arguments), timeout_s: timeout_s)
  }

  /// Starts a command in the namespace.
  public func start(_ arguments: [String], environment: [String: String] = [:]) throws -> RunningProcess {
    try RunningProcess(command(arguments), environment: environment)
  }

  /// Runs `ip` on the namespace: `ip("link", "set", "lo", "up")`.
  public func ip(_ arguments: String...) throws {
    try CommandResult.run(["ip"] + (name.map { ["-n", $0] } ?? []) + arguments).orThrow()
  }

  /// Writes a value below /proc/sys/net of the namespace.
  public func set(_ key: String, to value: String) throws {
    try run(["sh", "-c", "echo \(value) > /proc/sys/net/\(key)"]).orThrow()
  }

  /// Runs a closure on a fresh thread inside the namespace and waits for it. Sockets opened there stay in the
  /// namespace and may be used on any thread afterwards; setns(2) changes only the thread that calls it.
  public func withThread<Result>(_ body: @escaping () throws -> Result) throws -> Result {
    nonisolated(unsafe) var result: Swift.Result<Result, any Error>?
    nonisolated(unsafe) let body = body
    let path = name.map { "/run/netns/\($0)" }
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      result = Swift.Result {
        if let path { try enterNamespace(path) }
        return try body()
      }
      done.signal()
    }
    thread.start()
    done.wait()
    return try result!.get()
  }
}

private func enterNamespace(_ path: String) throws {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw SupportError.systemCall("open \(path)", errno) }
  defer { close(descriptor) }
  guard setns(descriptor, Int32(ctestsupport_network_namespace)) == 0 else {
    throw SupportError.systemCall("setns", errno)
  }
}

/// Two joined devices, one in each of two namespaces, with an IPv4 address each; removed with either namespace.
public struct VethPair: Sendable {
  /// - Parameters:
  ///   - first: namespace, device name and address with prefix length ("10.77.0.1/24") of one end.
  ///   - second: the same of the other.
  public init(
    _ first: (namespace: NetworkNamespace, device: String, address: String),
    _ second: (namespace: NetworkNamespace, device: String, address: String)
  ) throws {
    guard let firstName = first.namespace.name, let secondName = second.namespace.name else {
      throw SupportError("no devices are made in the host's namespace")
    }
    try CommandResult.run(
      [
        "ip", "link", "add", first.device, "netns", firstName, "type", "veth",
        "peer", "name", second.device, "netns", secondName,
      ]
    ).orThrow()
    for end in [first, second] {
      try end.namespace.ip("address", "add", end.address, "dev", end.device)
      try end.namespace.ip("link", "set", end.device, "up")
    }
  }
}
