import NIOCore
import Synchronization

/// A client as limits know it: the prefix of its address. Never 0.
struct ClientPrefix: Hashable, Sendable {
  let value: UInt64

  init?(_ address: SocketAddress?, _ lengths: ClientPrefixLengths) {
    switch address {
    case .v4(let address):
      let host = UInt64(UInt32(bigEndian: address.address.sin_addr.s_addr))
      // The bit above 32 tells the families apart: no global IPv6 prefix begins with 31 zero bits.
      value = 1 << 32 | host & ~(~0 >> UInt64(lengths.ipv4 + 32))
    case .v6(let address):
      var words = address.address.sin6_addr
      let prefix = withUnsafeBytes(of: &words) { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
      let masked = prefix & ~(~0 >> UInt64(lengths.ipv6))
      value = masked == 0 ? 1 : masked
    default:
      return nil
    }
  }
}

/// How many requests clients may make: the generic cell rate algorithm (ITU-T I.371), which keeps one time for each
/// client.
///
/// The table has a fixed size. Where a place is needed, the client that has been quiet longest of the few in the same
/// row is forgotten, and may begin anew: a flood of addresses makes the limit milder, and never takes memory.
final class RequestRateLimiter: Sendable {
  private struct Place {
    var client: UInt64 = 0
    /// When the client will have used up nothing again; nanoseconds of the monotonic clock.
    var paidUntil_ns = Int.min
  }

  private final class Shard: Sendable {
    let places = Mutex([Place](repeating: Place(), count: rowsPerShard * placesPerRow))
  }

  private static let shardCount = 16
  private static let rowsPerShard = 256
  private static let placesPerRow = 8

  private let interval_ns: Int
  private let tolerance_ns: Int
  private let shards = (0..<RequestRateLimiter.shardCount).map { _ in Shard() }
  /// Clients choose their addresses.
  private let seed = UInt64.random(in: .min ... .max)

  init(_ rate: RequestRate) {
    interval_ns = max(1, Int(1e9 / rate.requestsPerSecond))
    tolerance_ns = interval_ns * (rate.burst - 1)
  }

  /// Counts a request. `nil`: it may be answered; else the seconds after which one may.
  func retryAfter_s(_ client: ClientPrefix, now_ns: Int) -> Int? {
    var hash = (client.value ^ seed) &* 0xbf58_476d_1ce4_e5b9
    hash ^= hash >> 32
    hash = hash &* 0x94d0_49bb_1331_11eb
    let row = Int(hash >> 56) % Self.rowsPerShard * Self.placesPerRow
    return shards[Int(hash >> 40) % Self.shardCount].places.withLock { places in
      var found = row
      for index in row..<row + Self.placesPerRow {
        if places[index].client == client.value {
          found = index
          break
        }
        if places[index].paidUntil_ns < places[found].paidUntil_ns { found = index }
      }
      let known = places[found].client == client.value
      let paidUntil_ns = known ? max(places[found].paidUntil_ns, now_ns) : now_ns
      let early_ns = paidUntil_ns - now_ns - tolerance_ns
      guard early_ns <= 0 else { return (early_ns + 999_999_999) / 1_000_000_000 }
      places[found] = Place(client: client.value, paidUntil_ns: paidUntil_ns + interval_ns)
      return nil
    }
  }
}

/// Counts the connections of each client. There are no more entries than connections.
final class ClientConnections: Sendable {
  private struct State {
    var countMax: Int
    var counts: [ClientPrefix: Int] = [:]
  }

  private let state: Mutex<State>

  init(countMax: Int) { state = Mutex(State(countMax: countMax)) }

  func setMax(_ countMax: Int) { state.withLock { $0.countMax = countMax } }

  /// Whether the client may have another one; if so, `release` is called at its end.
  func acquire(_ client: ClientPrefix) -> Bool {
    state.withLock { state in
      let count = state.counts[client, default: 0]
      guard count < state.countMax else { return false }
      state.counts[client] = count + 1
      return true
    }
  }

  func release(_ client: ClientPrefix) {
    state.withLock { state in
      guard let count = state.counts[client] else { return }
      state.counts[client] = count > 1 ? count - 1 : nil
    }
  }
}
