/// What Apus is to reach, by its own promise, and what it reached.
extension Report {
  public struct Target: Equatable, Sendable {
    public var promise: String
    public var measured: Double
    public var bound: Double
    /// Whether `bound` is a floor; else it is a ceiling.
    public var isAtLeast: Bool

    public var isMet: Bool { isAtLeast ? measured >= bound : measured <= bound }
  }

  /// Those there are figures for.
  public var targets: [Target] {
    [
      cpuRatio("keepalive", sizes: 0...1024, bound: 5, "CPU per request at most 1/5 of nginx's, up to 1 KB, kept"),
      cpuRatio(
        "close", sizes: 0...1024, bound: 3, "CPU per request at most 1/3 of nginx's, up to 1 KB, a connection each"),
      cpuRatio(
        "keepalive", sizes: 10_000...14_400, bound: 4, "CPU per request at most 1/4 of nginx's, 10 to 14 KB, kept"),
      wire, misses, tail, goodput,
    ].compactMap { $0 }
  }

  public var targetTable: String {
    let rows = targets.map { target in
      "| \(target.promise) | \(target.isAtLeast ? "at least" : "at most") \(plain(target.bound, decimals: 2)) "
        + "| \(plain(target.measured, decimals: 2)) | \(target.isMet ? "yes" : "**no**") |\n"
    }
    return "| Promise | Bound | Measured | Kept |\n|---|---|---|---|\n" + rows.joined()
  }

  /// The worst of the sizes counts.
  private func cpuRatio(_ workload: String, sizes: ClosedRange<Int>, bound: Double, _ promise: String) -> Target? {
    let ratios = results.filter { $0.server == "apus" && $0.workload == workload && sizes.contains($0.size ?? -1) }
      .compactMap { $0.ratios?.cpuPerRequest?.median }
    return ratios.min().map { Target(promise: promise, measured: $0, bound: bound, isAtLeast: true) }
  }

  private var wire: Target? {
    results.first { $0.server == "apus" && $0.workload == "wire" && $0.size == 14_000 }?.ratios?.requestsPerSecond.map {
      Target(
        promise: "Requests per second, 14 KB, packets as on a wire, by nginx's", measured: $0.median, bound: 1.5,
        isAtLeast: true)
    }
  }

  /// The worst of the variants counts. The ratio is nginx's by the other's, and is asked the other way round.
  private var misses: Target? {
    let ratios = results.filter { $0.server == "apus-miss" && $0.workload == "handover" }
      .compactMap { $0.ratios?.cpuPerRequest?.median }
    return ratios.min().map {
      Target(
        promise: "CPU per request that is handed over to nginx, by nginx's alone", measured: 1 / $0, bound: 1.05,
        isAtLeast: false)
    }
  }

  private var tail: Target? {
    results.first { $0.server == "apus" && $0.workload == "latency" }?.ratios?.p99.map {
      Target(promise: "p99 at 80 % of nginx's capacity, by nginx's", measured: $0.median, bound: 0.6, isAtLeast: false)
    }
  }

  /// At the highest load offered, by the highest of all.
  private var goodput: Target? {
    let rates = results.filter { $0.server == "apus" && $0.workload == "overload" }.map(\.requestsPerSecond)
    guard rates.count > 1, let peak = rates.max(), peak > 0 else { return nil }
    return Target(
      promise: "Answers per second at the highest load offered, by the most at any", measured: rates.last! / peak,
      bound: 0.95, isAtLeast: true)
  }
}
