/// Records of objects that were replaced or removed, kept for as long as an answer made from one may have to be sent
/// again (never torn: what was begun with one version is finished with it). First in, first out.
struct RetiredRecords {
  struct Entry {
    /// Bytes from the start of the arena to the record.
    var offset: Int
    var generation: UInt32
    /// CLOCK_MONOTONIC.
    var since_ns: UInt64
  }

  /// Within this time a client sends a lost request again several times: Linux gives up after 15 retransmissions, but
  /// the first six of them come within a minute.
  static let retention_ns: UInt64 = 120_000_000_000

  private let retention_ns: UInt64
  private var entries: [Entry] = []
  private var first = 0

  init(retention_ns: UInt64 = Self.retention_ns) { self.retention_ns = retention_ns }

  mutating func append(_ entry: Entry) { entries.append(entry) }

  /// The oldest entry, if it has been kept long enough at that time.
  mutating func popFirst(until now_ns: UInt64) -> Entry? {
    guard first < entries.count, now_ns == .max || entries[first].since_ns + retention_ns <= now_ns else { return nil }
    defer {
      first += 1
      if first * 2 > entries.count {
        entries.removeFirst(first)
        first = 0
      }
    }
    return entries[first]
  }
}
