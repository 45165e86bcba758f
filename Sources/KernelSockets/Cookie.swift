import Wire

/// SYN cookies (RFC 4987 section 3.6): the initial sequence number proves, when the client acknowledges it, that
/// the client's address is real and says what the SYN offered, so that nothing is stored before.
///
///     31    30..27   26.......11   10......0
///     key   MSS      start tag     flow tag
///
/// The flow tag depends on the four-tuple, the start tag on the client's initial sequence number too. So a segment
/// whose flow tag is right and whose start tag is not belongs to a connection whose first segment has not arrived:
/// it is dropped, where a kernel that uses cookies would reset the connection. 27 bits prove the address.
///
/// The flow tag has the lowest bits, which change with the first byte we send: what acknowledges more than the cookie
/// is not taken for such a segment. It belongs to a connection that is forgotten, and must be reset.
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

  /// What the key in use says of a flow whose SYN offers a segment size.
  @inline(__always) public func proof(of flow: FlowKey, sizeIndex: UInt32) -> CookieProof {
    CookieProof(self, flow, fields: (current & 1) << 31 | (sizeIndex & 15) << 27)
  }

  /// What the key a cookie names says of a flow.
  @inline(__always) public func proof(of flow: FlowKey, in cookie: SequenceNumber) -> CookieProof {
    CookieProof(self, flow, fields: cookie.value & 0xf800_0000)
  }
}

/// A keyed hash of a flow: what its cookies and its timestamps are made from.
public struct CookieProof {
  /// The upper five bits of the cookie.
  let fields: UInt32
  let hash: UInt64

  @inline(__always) init(_ keys: CookieKeys, _ flow: FlowKey, fields: UInt32) {
    let key = fields & 0x8000_0000 == 0 ? keys.first : keys.second
    let (remote, local) = (flow.remoteAddress, flow.localAddress)
    let ports = UInt64(flow.remotePort) | UInt64(flow.localPort) << 16 | UInt64(fields) << 32
    self.fields = fields
    hash = SipHash.hash(
      key: key, UInt64(remote.word0) | UInt64(remote.word1) << 32, UInt64(remote.word2) | UInt64(remote.word3) << 32,
      UInt64(local.word0) | UInt64(local.word1) << 32, UInt64(local.word2) | UInt64(local.word3) << 32, ports)
  }

  @inline(__always) public func cookie(clientStart: SequenceNumber) -> SequenceNumber {
    SequenceNumber(fields | tags(clientStart))
  }

  @inline(__always) public func check(_ cookie: SequenceNumber, clientStart: SequenceNumber) -> CookieCheck {
    let difference = (cookie.value ^ tags(clientStart)) & 0x07ff_ffff
    if difference == 0 { return .right }
    return difference & 0x7ff == 0 ? .otherStart : .wrong
  }

  /// Added to the clock for the flow's timestamps, so that they do not tell for how long the host has been up
  /// (RFC 7323 section 5.4). Of other bits of the hash than the tags.
  @inline(__always) public var timestampOffset: UInt32 { UInt32(truncatingIfNeeded: hash >> 16) }

  @inline(__always) private func tags(_ clientStart: SequenceNumber) -> UInt32 {
    let start = clientStart.value &* 0x9e37_79b9
    let startTag = (UInt32(truncatingIfNeeded: hash) ^ start ^ (start >> 16)) & 0xffff
    return startTag << 11 | (UInt32(truncatingIfNeeded: hash >> 48) & 0x7ff)
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

/// The sizes of common links, over IPv4 and IPv6: the smallest IPv4 allows to assume, and the smallest IPv6 does, tunnels,
/// PPPoE, Ethernet, jumbo frames, loopback.
let segmentSizes: InlineArray<16, UInt16> = [
  536, 1024, 1220, 1300, 1340, 1360, 1380, 1400, 1420, 1440, 1448, 1452, 1460, 4036, 8940, 16000,
]
