/// What a load generator says of one run.
public struct ClientFigures: Equatable, Sendable {
  /// Requests answered.
  public var requests: Int
  /// Of the client's own clock.
  public var duration_s: Double
  /// Answers that were missing, late, not 2xx, or of another length than the first.
  public var errors: Int
  /// From the request to the end of its answer; `nil` where the client does not say.
  public var p50_us: Double?
  public var p99_us: Double?
  /// Requests there should have been, where the client sends at a rate of its own.
  public var due: Int?

  public init(
    requests: Int, duration_s: Double, errors: Int, p50_us: Double? = nil, p99_us: Double? = nil, due: Int? = nil
  ) {
    self.requests = requests
    self.duration_s = duration_s
    self.errors = errors
    self.p50_us = p50_us
    self.p99_us = p99_us
    self.due = due
  }

  /// All but a few of the requests that were due have been answered.
  public var keepsPace: Bool { due.map { Double(requests) > 0.98 * Double($0) } ?? false }

  public var requestsPerSecond: Double { duration_s > 0 ? Double(requests) / duration_s : 0 }
}

/// A client printed something else than it should.
public struct UnreadableOutput: Error, CustomStringConvertible {
  public let description: String

  init(_ client: String, misses field: String, _ output: String) {
    description = "\(client) does not say its \(field):\n\(output)"
  }
}
