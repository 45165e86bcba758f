/// One line of the report: a server in a case of a workload, over all repetitions.
public struct BenchResult: Codable, Equatable, Sendable {
  public struct Spreads: Codable, Equatable, Sendable {
    public var requestsPerSecond: Spread
    public var cpuMicrosecondsPerRequest: Spread?
    public var p50: Spread?
    public var p99: Spread?
  }

  /// Ratios to the workload's baseline, pair by pair.
  public struct Ratios: Codable, Equatable, Sendable {
    /// Which server stands below the line.
    public var baseline: String
    /// This server's by the baseline's: more is better.
    public var requestsPerSecond: Spread?
    /// The baseline's by this server's: more is better.
    public var cpuPerRequest: Spread?
    /// This server's by the baseline's: less is better.
    public var p99: Spread?
  }

  public var server: String
  public var workload: String
  /// What else tells this case from the workload's others: a link, a number of connections, an offered load.
  public var variant: String
  /// Of the body, in bytes; `nil` for a mix.
  public var size: Int?
  public var client: String
  /// Medians.
  public var requestsPerSecond: Double
  /// `nil` where other work shared the server's CPU on purpose.
  public var cpuMicrosecondsPerRequest: Double?
  /// Microseconds.
  public var p50: Double?
  public var p99: Double?
  /// Of all repetitions together. Only where overload is the point may it be other than 0.
  public var errors: Int
  public var spread: Spreads
  public var ratios: Ratios?
  public var repetitions: Int
  /// Repetitions in which the client's CPU was busy throughout and the server's was not: the requests per second are
  /// the client's limit then, and the CPU per request is what compares servers.
  public var limitedByClient: Int
  /// Further figures of a workload of its own kind, by name with unit.
  public var extras: [String: Double]

  /// Bytes of bodies per second.
  public var throughput: Double? { size.map { Double($0) * requestsPerSecond } }
}

/// One run.
public struct Run: Equatable, Sendable {
  public var client: ClientFigures
  /// Seconds the server's CPU was not idle.
  public var serverBusy_s: Double
  /// 0 to 1.
  public var serverBusyShare: Double
  public var clientBusyShare: Double
  /// False where something else was meant to run on the server's CPU.
  public var ownsServerCPU = true
  public var extras: [String: Double] = [:]

  public init(client: ClientFigures, serverBusy_s: Double, serverBusyShare: Double, clientBusyShare: Double) {
    self.client = client
    self.serverBusy_s = serverBusy_s
    self.serverBusyShare = serverBusyShare
    self.clientBusyShare = clientBusyShare
  }

  public var cpuMicrosecondsPerRequest: Double? {
    ownsServerCPU && client.requests > 0 ? serverBusy_s * 1e6 / Double(client.requests) : nil
  }

  /// A CPU that is pinned to is never busy to the last percent: the client starts and ends within the time. One that keeps
  /// the pace it was told is busy with waiting.
  public var isLimitedByClient: Bool { clientBusyShare > 0.9 && serverBusyShare < 0.9 && !client.keepsPace }
}

extension BenchResult {
  /// What a case is called.
  public struct Identity: Sendable {
    public var server: String
    public var workload: String
    public var variant: String
    public var size: Int?
    public var client: String

    public init(server: String, workload: String, variant: String = "", size: Int?, client: String) {
      self.server = server
      self.workload = workload
      self.variant = variant
      self.size = size
      self.client = client
    }
  }

  /// - Parameters:
  ///   - runs: by repetition; `nil` where one failed.
  ///   - baseline: the server ratios are formed with, with its runs.
  /// - Returns: `nil` if every run failed.
  public init?(_ identity: Identity, runs: [Run?], baseline: (server: String, runs: [Run?])?) {
    let good = runs.compactMap { $0 }
    guard !good.isEmpty else { return nil }
    func over(_ value: (Run) -> Double?) -> Spread? {
      let values = good.compactMap(value)
      return values.isEmpty ? nil : Spread(values)
    }
    server = identity.server
    workload = identity.workload
    variant = identity.variant
    size = identity.size
    client = identity.client
    spread = Spreads(
      requestsPerSecond: Spread(good.map(\.client.requestsPerSecond)),
      cpuMicrosecondsPerRequest: over(\.cpuMicrosecondsPerRequest), p50: over(\.client.p50_us),
      p99: over(\.client.p99_us))
    requestsPerSecond = spread.requestsPerSecond.median
    cpuMicrosecondsPerRequest = spread.cpuMicrosecondsPerRequest?.median
    p50 = spread.p50?.median
    p99 = spread.p99?.median
    errors = good.map(\.client.errors).reduce(0, +)
    repetitions = good.count
    limitedByClient = good.count(where: \.isLimitedByClient)
    extras = Dictionary(
      uniqueKeysWithValues: Set(good.flatMap(\.extras.keys)).map { name in
        (name, Spread(good.compactMap { $0.extras[name] }).median)
      })
    if let baseline, baseline.server != identity.server {
      func values(_ runs: [Run?], _ value: (Run) -> Double?) -> [Double?] { runs.map { $0.flatMap(value) } }
      ratios = Ratios(
        baseline: baseline.server,
        requestsPerSecond: .ratios(
          values(runs, \.client.requestsPerSecond), to: values(baseline.runs, \.client.requestsPerSecond)),
        cpuPerRequest: .ratios(
          values(baseline.runs, \.cpuMicrosecondsPerRequest), to: values(runs, \.cpuMicrosecondsPerRequest)),
        p99: .ratios(values(runs, \.client.p99_us), to: values(baseline.runs, \.client.p99_us)))
    }
  }
}
