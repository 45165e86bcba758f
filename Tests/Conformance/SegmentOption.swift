import KernelTestSupport

/// An option of a TCP header, understood (RFC 9293 section 3.2, RFC 7323, RFC 2018).
public enum SegmentOption: Hashable, Sendable {
  case mss(UInt16)
  case windowScale(UInt8)
  case sackPermitted
  case timestamps(value: UInt32, echo: UInt32)
  /// The blocks' bytes.
  case sack([UInt8])
  case noOperation
  /// Anything else, as it stands in the header.
  case raw([UInt8])

  var bytes: [UInt8] {
    switch self {
    case .mss(let size): return [2, 4, UInt8(size >> 8), UInt8(size & 255)]
    case .windowScale(let shift): return [3, 3, shift]
    case .sackPermitted: return [4, 2]
    case .timestamps(let value, let echo):
      var bytes: [UInt8] = [8, 10]
      bytes.append32(value)
      bytes.append32(echo)
      return bytes
    case .sack(let blocks): return [5, UInt8(blocks.count + 2)] + blocks
    case .noOperation: return [1]
    case .raw(let bytes): return bytes
    }
  }

  /// The options of a header without what only aligns them. An option of a wrong length becomes `raw` and ends it.
  static func parse(_ bytes: [UInt8]) -> [SegmentOption] {
    var options: [SegmentOption] = []
    var rest = bytes[...]
    while let kind = rest.first, kind != 0 {
      if kind == 1 {
        rest = rest.dropFirst()
        continue
      }
      guard rest.count >= 2, case let length = Int(rest[rest.startIndex + 1]), length >= 2, length <= rest.count else {
        return options + [.raw(Array(rest))]
      }
      options.append(understood(Array(rest.prefix(length))))
      rest = rest.dropFirst(length)
    }
    return options
  }

  private static func understood(_ option: [UInt8]) -> SegmentOption {
    switch (option[0], option.count) {
    case (2, 4): .mss(option.word16(2))
    case (3, 3): .windowScale(option[2])
    case (4, 2): .sackPermitted
    case (8, 10): .timestamps(value: option.word32(2), echo: option.word32(6))
    case (5, 10...34): .sack(Array(option[2...]))
    default: .raw(option)
    }
  }
}

extension SegmentOption: CustomStringConvertible {
  /// As tcpdump writes it.
  public var description: String {
    switch self {
    case .mss(let size): "mss \(size)"
    case .windowScale(let shift): "wscale \(shift)"
    case .sackPermitted: "sackOK"
    case .timestamps(let value, let echo): "TS val \(value) ecr \(echo)"
    case .sack(let blocks): "sack \(blocks.count / 8)"
    case .noOperation: "nop"
    case .raw(let bytes): "raw \(bytes)"
    }
  }
}

/// What a SYN offers.
public struct Offer: Sendable {
  public var mss: UInt16?
  public var sack = false
  public var timestamps = false
  public var windowScale: UInt8?
  /// Put behind the others.
  public var further: [SegmentOption] = []

  public init(
    mss: UInt16? = nil, sack: Bool = false, timestamps: Bool = false, windowScale: UInt8? = nil,
    further: [SegmentOption] = []
  ) {
    self.mss = mss
    self.sack = sack
    self.timestamps = timestamps
    self.windowScale = windowScale
    self.further = further
  }

  public static let nothing = Offer()
  public static func mss(_ size: UInt16) -> Offer { Offer(mss: size) }
  /// As Linux and Android do.
  public static let linux = Offer(mss: 1460, sack: true, timestamps: true, windowScale: 7)
  /// As Windows does: everything but timestamps.
  public static let windows = Offer(mss: 1460, sack: true, windowScale: 8)
  /// As macOS and iOS do.
  public static let apple = Offer(mss: 1460, sack: true, timestamps: true, windowScale: 6)

  func options(clock: UInt32) -> [SegmentOption] {
    var options: [SegmentOption] = []
    if let mss { options.append(.mss(mss)) }
    if sack { options.append(.sackPermitted) }
    if timestamps { options.append(.timestamps(value: clock, echo: 0)) }
    if let windowScale { options += [.noOperation, .windowScale(windowScale)] }
    return options + further
  }
}
