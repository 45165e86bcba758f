import Foundation
import TestSupport

/// One run.
struct Measurement {
  var requestsPerSecond: Double
  /// Time the CPU was not idle, divided by the requests; client and server together where they share the CPU.
  var cpuMicrosecondsPerRequest: Double
}

/// Median, smallest and largest of a value over the repetitions.
struct Spread {
  var median: Double
  var smallest: Double
  var largest: Double

  /// - Parameter values: at least one.
  init(_ values: [Double]) {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    smallest = sorted.first!
    largest = sorted.last!
  }
}

/// The clock and the idle time of one CPU at a moment.
struct CPUClock {
  private let wall_s: Double
  private let idle_s: Double

  init(cpu: Int) throws {
    let text = try String(contentsOfFile: "/proc/stat", encoding: .utf8)
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("cpu\(cpu) ") }) else {
      throw SupportError("/proc/stat has no cpu\(cpu)")
    }
    // proc_stat(5): user nice system idle iowait ..., in ticks. What is not idle is counted as wall minus idle: the
    // tick-sampled columns of interrupts miss work that begins and ends between two ticks.
    let ticks = line.split(separator: " ").dropFirst().compactMap { Double($0) }
    guard ticks.count >= 5 else { throw SupportError("/proc/stat: \(line)") }
    idle_s = (ticks[3] + ticks[4]) / Double(sysconf(Int32(_SC_CLK_TCK)))
    wall_s = monotonicSeconds()
  }

  func busySeconds(since start: CPUClock) -> Double {
    max(0, (wall_s - start.wall_s) - (idle_s - start.idle_s))
  }

  /// The part of the time the CPU was idle, 0 to 1.
  func idleShare(since start: CPUClock) -> Double {
    min(1, (idle_s - start.idle_s) / (wall_s - start.wall_s))
  }

  /// Waits until a CPU is idle.
  ///
  /// Work of others distorts not only figures but ratios: against one busy stranger a server and its client, two
  /// processes, get two thirds of the CPU, and a client whose server is the kernel gets half.
  ///
  /// - Returns: whether it was idle within `timeout_s` seconds.
  static func waitUntilIdle(cpu: Int, timeout_s: Double) throws -> Bool {
    try eventually(timeout_s: timeout_s, every: 0) {
      let start = try CPUClock(cpu: cpu)
      pause(seconds: 0.3)
      return try CPUClock(cpu: cpu).idleShare(since: start) > 0.9
    }
  }
}
