import BPFKernel
import Wire

/// Which SYNs have come before, as far as a small table remembers.
///
/// A listening socket has a timer: what it sent in answer to a SYN it sends again after a second (RFC 6298 section 5), just
/// when the client sends its SYN again. So from the second try on, two SYN-ACKs are on their way, and a client waits for its
/// third try only if both are lost or the SYN itself is. This program has no timer; it answers a SYN that comes again with
/// two SYN-ACKs, and is as likely to be heard.
///
/// A cookie is the same for the same SYN, and random for whoever does not know the key. So it is the place in the table and
/// what stands there; nothing is stored that grows. Whoever sends SYNs in another's name has them answered twice at most,
/// where a listening socket's timer answers up to six times (net.ipv4.tcp_synack_retries).
enum RecentHandshakes {
  /// A power of two; the entries of the map.
  static var capacity: UInt32 { 4096 }

  /// Whether this CPU has answered with this cookie not long ago. From now on it has.
  @inline(__always) static func note(_ cookie: SequenceNumber) -> Bool {
    guard let place = ArrayMap<UInt32>(&recentHandshakesMap)[cookie.value & (capacity &- 1)] else { return false }
    let isRepeated = place.pointee == cookie.value
    place.pointee = cookie.value
    return isRepeated
  }
}
