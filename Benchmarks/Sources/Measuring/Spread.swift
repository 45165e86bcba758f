/// Median, smallest and largest of a value over the repetitions.
public struct Spread: Codable, Equatable, Sendable {
  public var median: Double
  public var smallest: Double
  public var largest: Double

  /// - Parameter values: at least one.
  public init(_ values: [Double]) {
    precondition(!values.isEmpty, "nothing was measured")
    let sorted = values.sorted()
    let middle = sorted.count / 2
    median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    smallest = sorted.first!
    largest = sorted.last!
  }

  /// The ratio of every repetition, then the spread of these: what disturbs the machine for a minute disturbs both
  /// members of a pair, and the ratio of two medians may be one of runs from different minutes.
  ///
  /// - Parameters: values by repetition; `nil` where a run failed, and the pair is left out.
  /// - Returns: `nil` if there is no pair.
  public static func ratios(_ numerators: [Double?], to denominators: [Double?]) -> Spread? {
    let ratios = zip(numerators, denominators).compactMap { numerator, denominator -> Double? in
      guard let numerator, let denominator, denominator > 0 else { return nil }
      return numerator / denominator
    }
    return ratios.isEmpty ? nil : Spread(ratios)
  }
}

/// The smallest value that at least `share` of the values do not exceed (the nearest rank).
///
/// - Parameter share: more than 0, at most 1.
/// - Returns: `nil` of nothing.
public func percentile(_ values: [Double], _ share: Double) -> Double? {
  precondition(share > 0 && share <= 1)
  guard !values.isEmpty else { return nil }
  let rank = Int((share * Double(values.count)).rounded(.up))
  return values.sorted()[max(rank, 1) - 1]
}
