/// The file sizes web servers are asked for, as SPEC found them (the report's Table 5).
public enum SizeMix {
  /// Shares are percents; the sizes of a class are nine, evenly spread, as in SPECweb99.
  static let classes: [(share: Int, largest_bytes: Int)] = [(35, 1000), (50, 10_000), (14, 100_000), (1, 1_000_000)]

  public static let sizes: [Int] = classes.flatMap { sizes(upTo: $0.largest_bytes) }

  private static func sizes(upTo largest: Int) -> [Int] { (1...9).map { largest / 10 * $0 } }

  /// Nine hundred requests, in which every size has its share, in an order that is the same each time and mixes the
  /// classes: a client that goes through it again and again never meets a long run of large files.
  public static let requests: [Int] = {
    var requests = classes.flatMap { kind in
      sizes(upTo: kind.largest_bytes).flatMap { Array(repeating: $0, count: kind.share) }
    }
    var state: UInt64 = 2005
    for index in requests.indices.dropFirst().reversed() {
      // Knuth's MMIX generator; its upper bits are the good ones.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      requests.swapAt(index, Int(state >> 33) % (index + 1))
    }
    return requests
  }()

  public static var averageBytes: Double { Double(requests.reduce(0, +)) / Double(requests.count) }
}
