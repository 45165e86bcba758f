import Foundation
import Measuring
import TestSupport

/// Which CPU does what: one has the server and all the kernel's work for it, another the client and the kernel's work
/// for that.
struct CPUs {
  var server: Int
  var client: Int

  /// Interrupts of a machine's devices tend to CPU 0, so the server has the last one.
  init() throws {
    let count = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    guard count > 1 else {
      throw SupportError("apus-bench needs two CPUs: the server's must be idle where the server is")
    }
    server = count - 1
    client = count - 2
  }

  var serverPrefix: [String] { ["taskset", "-c", "\(server)"] }
  var clientPrefix: [String] { ["taskset", "-c", "\(client)"] }

  func pinnedToServer(_ command: [String]) -> [String] { serverPrefix + command }

  /// All threads of a process that runs; those it makes later are pinned as the one is that makes them.
  func pinToServer(_ process: pid_t) throws {
    try CommandResult.run(["taskset", "-a", "-c", "-p", "\(server)", "\(process)"]).orThrow()
  }

  /// Receive packet steering: what arrives at a device is worked on by one CPU whoever has sent it. Without it veth
  /// would have the sender's CPU do the receiver's work.
  func steer(_ network: TestNetwork) throws {
    try steer("eth0", of: network.server, to: server)
    try steer("eth0", of: network.client, to: client)
  }

  func steer(_ device: String, of namespace: NetworkNamespace, to cpu: Int) throws {
    // A mask in hexadecimal, in words of 32 bits.
    let mask = String(1 << (cpu % 32), radix: 16) + String(repeating: ",00000000", count: cpu / 32)
    try namespace.run(
      ["sh", "-c", "for q in /sys/class/net/\(device)/queues/rx-*; do echo \(mask) > $q/rps_cpus; done"]
    ).orThrow()
  }

  func time(of cpu: Int) throws -> CPUTime {
    let text = try String(contentsOfFile: "/proc/stat", encoding: .utf8)
    let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
    guard let time = CPUTime(text, cpu: cpu, wall_s: monotonicSeconds(), ticksPerSecond: ticksPerSecond) else {
      throw SupportError("/proc/stat has no cpu\(cpu)")
    }
    return time
  }

  /// Waits until both CPUs are idle: work of others distorts not only figures but ratios.
  ///
  /// - Returns: whether they were within `timeout_s` seconds.
  func waitUntilIdle(timeout_s: Double) throws -> Bool {
    try eventually(timeout_s: timeout_s, every: 0) {
      let start = try [server, client].map(time(of:))
      pause(seconds: 0.1)
      let now = try [server, client].map(time(of:))
      return zip(start, now).allSatisfy { $1.busyShare(since: $0) < 0.1 }
    }
  }
}
