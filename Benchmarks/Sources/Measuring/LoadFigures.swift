/// What `apus-bench load` prints of one run.
public struct LoadFigures: Codable, Equatable, Sendable {
  /// Requests answered within `duration_s`.
  public var answered: Int
  /// Requests that were due by then.
  public var due: Int
  /// Connections that broke off, or whose answer was not 2xx or not to be framed.
  public var errors: Int
  public var duration_s: Double
  /// Microseconds from when a request was due to the end of its answer; 0 if there was none.
  public var p50: Double
  public var p90: Double
  public var p99: Double
  public var p999: Double
  public var max: Double

  public init(
    answered: Int, due: Int, errors: Int, duration_s: Double, p50: Double, p90: Double, p99: Double, p999: Double,
    max: Double
  ) {
    self.answered = answered
    self.due = due
    self.errors = errors
    self.duration_s = duration_s
    self.p50 = p50
    self.p90 = p90
    self.p99 = p99
    self.p999 = p999
    self.max = max
  }
}

extension ClientFigures {
  public init(_ figures: LoadFigures) {
    self.init(
      requests: figures.answered, duration_s: figures.duration_s, errors: figures.errors, p50_us: figures.p50,
      p99_us: figures.p99, due: figures.due)
  }
}
