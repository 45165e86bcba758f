/// A figure that is no server's alone: of the program, the parser, the daemon.
public struct MicroFigure: Codable, Equatable, Sendable {
  public var name: String
  public var unit: String
  public var spread: Spread
  public var samples: Int

  public init(_ name: String, unit: String, _ values: [Double]) {
    self.name = name
    self.unit = unit
    spread = Spread(values)
    samples = values.count
  }
}

/// What a figure may be at most, and by how much it may be more before that is a failure.
public struct Budgets: Codable, Equatable, Sendable {
  public struct Budget: Codable, Equatable, Sendable {
    public var figure: String
    public var most: Double
    /// How much more than `most` is a failure: 0.1 is a tenth.
    public var tolerance: Double
    public var unit: String
    public var reason: String
  }

  public var budgets: [Budget]

  /// Sentences of what exceeds its budget, and of what has a budget and was not measured.
  public func failures(_ figures: [String: Double]) -> [String] {
    budgets.compactMap { budget in
      guard let value = figures[budget.figure] else { return "\(budget.figure): there is a budget, but no figure" }
      let limit = budget.most * (1 + budget.tolerance)
      guard value > limit else { return nil }
      return "\(budget.figure) is \(plain(value)) \(budget.unit): its budget is \(plain(budget.most)), with "
        + "\(plain(budget.tolerance * 100)) % more at most (\(budget.reason))"
    }
  }
}
