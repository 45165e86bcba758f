import Foundation

/// A document tree that is the same on every run: sizes from 0 bytes to 5 MB, most of them small as on real sites,
/// several types, some in subdirectories.
public final class GeneratedFiles: Sendable {
  public struct File: Sendable {
    /// Relative to the root.
    public let path: String
    public let size: Int
  }

  public let root: String
  public let files: [File]
  private let createdAt_s: Double

  /// Boundaries of segments, of pages, of the kernel part's limits; then the generator goes on by itself.
  private static let fixedSizes = [
    0, 1, 2, 3, 63, 64, 65, 511, 512, 1000, 1023, 1024, 1025, 1100, 1200, 1300, 1400, 1448, 1460, 1461, 2920, 4095,
    4096,
    4097, 8192, 14_600, 15_000, 15_900, 16_000, 16_384, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 1_000_000,
    1_048_576, 5_000_000, 5_242_880,
  ]

  public init(count: Int, seed: UInt64 = 0x2005_1119, in directory: ScratchDirectory) throws {
    var random = SplitMix64(state: seed)
    let kinds = ["html", "css", "js", "txt", "svg", "json", "png", "jpg", "woff2", "bin"]
    var files: [File] = []
    for number in 0..<count {
      let size = number < Self.fixedSizes.count ? Self.fixedSizes[number] : Self.size(&random)
      let folder = ["", "pages/", "assets/css/", "assets/img/deep/er/"][Int(random.next() % 4)]
      let path = "\(folder)file-\(number).\(kinds[number % kinds.count])"
      try directory.write(Self.bytes(size, text: number % kinds.count < 6, &random), to: path)
      files.append(File(path: path, size: size))
    }
    self.files = files
    root = directory.path
    createdAt_s = monotonicSeconds()
  }

  /// Until every file has been quiet long enough to be stored.
  public func waitUntilQuiet() { pause(seconds: max(0, createdAt_s + 2.5 - monotonicSeconds())) }

  /// Eight in ten up to 1 KB, the others up to 200 KB and evenly over the orders of magnitude.
  private static func size(_ random: inout SplitMix64) -> Int {
    if random.next() % 10 < 8 { return Int(random.next() % 1025) }
    let magnitude = 10 + random.next() % 7
    return (1 << magnitude) + Int(random.next() % (1 << magnitude))
  }

  private static func bytes(_ count: Int, text: Bool, _ random: inout SplitMix64) -> [UInt8] {
    var bytes = [UInt8]()
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      let word = random.next()
      withUnsafeBytes(of: text ? (word & 0x0f0f_0f0f_0f0f_0f0f) | 0x6060_6060_6060_6060 : word) {
        bytes.append(contentsOf: $0)
      }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
