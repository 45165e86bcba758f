import Wire

/// SYN cookies (RFC 4987 section 3.6): the initial sequence number proves, when the client acknowledges it, that
/// the client's address is real and says what the SYN offered, so that nothing is stored before.
///
///     31    30..27   26......16   15.........0
///     key   MSS      flow tag     start tag
///
/// The flow tag depends on the four-tuple, the start tag on the client's initial sequence number too. So a segment
/// whose flow tag is right and whose start tag is not belongs to a connection whose first segment has not arrived:
/// it is dropped, where a kernel that uses cookies would reset the connection. 27 bits prove the address.
public struct CookieKeys {
  public var first: (UInt64, UInt64)
  public var second: (UInt64, UInt64)
  /// Which of the two signs: 0 or 1. The other one is that of the period before.
  public var current: UInt32

  @inline(__always) public init(first: (UInt64, UInt64), second: (UInt64, UInt64), current: UInt32) {
    self.first = first
    self.second = second
    self.current = current
  }

  @inline(__always)
  public func cookie(for flow: FlowKey, clientStart: SequenceNumber, sizeIndex: UInt32) -> SequenceNumber {
    let fields = (current & 1) << 31 | (sizeIndex & 15) << 27
    return SequenceNumber(fields | tags(flow, clientStart, fields: fields))
  }

  @inline(__always)
  public func check(_ cookie: SequenceNumber, for flow: FlowKey, clientStart: SequenceNumber) -> CookieCheck {
    let fields = cookie.value & 0xf800_0000
    let difference = (cookie.value ^ tags(flow, clientStart, fields: fields)) & 0x07ff_ffff
    if difference == 0 { return .right }
    return difference & 0x07ff_0000 == 0 ? .otherStart : .wrong
  }

  @inline(__always)
  private func tags(_ flow: FlowKey, _ clientStart: SequenceNumber, fields: UInt32) -> UInt32 {
    let key = fields & 0x8000_0000 == 0 ? first : second
    let addresses = UInt64(flow.remoteAddress) | UInt64(flow.localAddress) << 32
    let ports = UInt64(flow.remotePort) | UInt64(flow.localPort) << 16 | UInt64(fields) << 32
    let hash = SipHash.hash(key: key, addresses, ports)
    let start = clientStart.value &* 0x9e37_79b9
    let startTag = (UInt32(truncatingIfNeeded: hash) ^ start ^ (start >> 16)) & 0xffff
    return (UInt32(truncatingIfNeeded: hash >> 32) & 0x07ff_0000) | startTag
  }
}

public enum CookieCheck: Equatable {
  case right
  /// Ours, but the segment is not the first of its connection.
  case otherStart
  case wrong
}

/// The maximum segment sizes a cookie can carry: what a client offers is rounded down to one of them.
public enum SegmentSizes {
  @inline(__always) public static func index(of offered: UInt16) -> UInt32 {
    var index: UInt32 = 0
    for candidate in 1..<16 where segmentSizes[candidate & 15] <= offered {
      index = UInt32(truncatingIfNeeded: candidate)
    }
    return index
  }
  /// The size a cookie that is right carries.
  @inline(__always) public static func size(in cookie: SequenceNumber) -> UInt16 {
    segmentSizes[Int(truncatingIfNeeded: cookie.value >> 27 & 15)]
  }
}

/// The sizes of common links: the smallest IPv4 allows to assume, tunnels, PPPoE, Ethernet, jumbo frames, loopback.
let segmentSizes: InlineArray<16, UInt16> = [
  536, 1024, 1220, 1300, 1340, 1360, 1380, 1400, 1420, 1440, 1448, 1452, 1460, 4036, 8960, 16000,
]
