/// The charts the report of 2005 has: by size a line per server, and what it could not show: CPU and percentiles.
extension Report {
  public var charts: [Chart] {
    bySize("keepalive", "connections kept") + bySize("close", "a connection for each request")
      + bySize("serial", "one connection after the other") + byLink + byConnections
      + latencies
  }

  private func bySize(_ workload: String, _ title: String, variant: String? = nil) -> [Chart] {
    let of = results.filter { $0.workload == workload && (variant == nil || $0.variant == variant) && $0.size != nil }
    // A line needs two points.
    guard Set(of.map(\.size)).count > 1 else { return [] }
    func chart(_ name: String, _ what: String, _ unit: String, isLogarithmic: Bool, _ value: (BenchResult) -> Double?)
      -> Chart?
    {
      let series = lines(of, x: { Double($0.size!) }, y: value)
      let suffix = variant.map { "-" + $0.filter { $0.isNumber } } ?? ""
      return series.isEmpty
        ? nil
        : Chart(
          workload: workload, fileName: "\(name)-\(workload)\(suffix).svg", title: "\(what), \(title)", yLabel: unit,
          isLogarithmic: isLogarithmic, kind: .lines(xLabel: "size of the file"), series: series)
    }
    return [
      chart("requests", "Requests per second", "requests/s", isLogarithmic: false, \.requestsPerSecond),
      chart("throughput", "Throughput", "MB/s", isLogarithmic: false) { $0.throughput.map { $0 / 1e6 } },
      chart("cpu", "Server CPU per request", "µs", isLogarithmic: true, \.cpuMicrosecondsPerRequest),
    ].compactMap { $0 }
  }

  /// A set for each link, as the report has them.
  private var byLink: [Chart] {
    var links: [String] = []
    for result in results where result.workload == "links" && !links.contains(result.variant) {
      links.append(result.variant)
    }
    return links.flatMap { bySize("links", "\($0), connections kept", variant: $0) }
  }

  private var byConnections: [Chart] {
    let of = results.filter { $0.workload == "connections" }
    guard Set(of.map(\.variant)).count > 1 else { return [] }
    let count = { (result: BenchResult) in Double(result.variant.prefix { $0.isNumber }) ?? 1 }
    return [
      Chart(
        workload: "connections", fileName: "requests-connections.svg", title: "Requests per second, 1 KB",
        yLabel: "requests/s", kind: .lines(xLabel: "connections"), series: lines(of, x: count, y: \.requestsPerSecond)),
      Chart(
        workload: "connections", fileName: "cpu-connections.svg", title: "Server CPU per request, 1 KB", yLabel: "µs",
        isLogarithmic: true, kind: .lines(xLabel: "connections"),
        series: lines(of, x: count, y: \.cpuMicrosecondsPerRequest)),
    ]
  }

  private var latencies: [Chart] {
    let of = results.filter { $0.workload == "latency" && $0.p50 != nil && $0.p99 != nil }
    guard !of.isEmpty else { return [] }
    return [
      Chart(
        workload: "latency", fileName: "latency.svg",
        title: "Time to the end of the answer at 80 % of nginx's capacity",
        yLabel: "µs", isLogarithmic: true, kind: .bars(names: ["p50", "p99"]),
        series: of.map { Chart.Series(title: $0.server, points: [(0, $0.p50!), (1, $0.p99!)]) })
    ]
  }

  private func lines(_ results: [BenchResult], x: (BenchResult) -> Double, y: (BenchResult) -> Double?) -> [Chart
    .Series]
  {
    var servers: [String] = []
    for result in results where !servers.contains(result.server) { servers.append(result.server) }
    return servers.compactMap { server in
      let points = results.filter { $0.server == server }.compactMap { result in y(result).map { (x: x(result), y: $0) }
      }
      return points.isEmpty ? nil : Chart.Series(title: server, points: points.sorted { $0.x < $1.x })
    }
  }
}
