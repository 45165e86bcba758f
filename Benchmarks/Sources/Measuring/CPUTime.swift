/// What `/proc/stat` says of one CPU at a moment, with the time of the moment.
public struct CPUTime: Sendable {
  public var wall_s: Double
  public var idle_s: Double

  /// - Parameters:
  ///   - statistics: the text of `/proc/stat`.
  ///   - ticksPerSecond: sysconf(_SC_CLK_TCK).
  /// - Returns: `nil` if that CPU is not in it.
  public init?(_ statistics: String, cpu: Int, wall_s: Double, ticksPerSecond: Double) {
    guard let line = statistics.split(separator: "\n").first(where: { $0.hasPrefix("cpu\(cpu) ") }) else { return nil }
    // proc_stat(5): user nice system idle iowait ..., in ticks. What is not idle is counted as wall minus idle: the
    // tick-sampled columns of interrupts miss work that begins and ends between two ticks.
    let ticks = line.split(separator: " ").dropFirst().compactMap { Double($0) }
    guard ticks.count >= 5 else { return nil }
    idle_s = (ticks[3] + ticks[4]) / ticksPerSecond
    self.wall_s = wall_s
  }

  public func busySeconds(since start: CPUTime) -> Double {
    max(0, (wall_s - start.wall_s) - (idle_s - start.idle_s))
  }

  /// The part of the time the CPU was not idle, 0 to 1.
  public func busyShare(since start: CPUTime) -> Double {
    wall_s > start.wall_s ? min(1, busySeconds(since: start) / (wall_s - start.wall_s)) : 0
  }
}
