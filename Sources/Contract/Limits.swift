/// Every limit of Apus that both halves know, in one place. Units are last in the names.
public enum Limits {
  // MARK: Requests

  /// A head longer than this is handed over: it is the size of the per-CPU buffer it is copied into.
  public static var headBytesMax: Int { 2048 }
  /// A longer path is handed over.
  public static var pathBytesMax: Int { 255 }
  /// A longer Host field is handed over where the site depends on the Host.
  public static var hostBytesMax: Int { 63 }
  /// Field lines of a head beyond which it is handed over.
  public static var fieldLinesMax: Int { 39 }

  // MARK: Objects

  /// Head and body of an answer together. `bpf_skb_change_tail` grows a packet to at most 16,064
  /// bytes (net/core/filter.c, BPF_SKB_MAX_LEN), its link, network and transport headers among them.
  public static var responseBytesMax: Int { 15_900 }
  /// Bytes of an object's record in the arena: header, path, response heads, body.
  public static var recordBytesMax: Int { 32_768 }
  /// Bytes of an entity tag the kernel part compares; an object with a longer one is answered only unconditionally.
  public static var tagBytesMax: Int { 64 }
  /// Members of a list of entity tags, or of content codings, beyond which the request is handed over.
  public static var listMembersMax: Int { 8 }
  /// Records start at multiples of this, so that an index entry names one in 32 bits.
  public static var recordAlignment: Int { 64 }
  /// Default memory budget of the object store, a power of two.
  public static var arenaBytesDefault: Int { 64 << 20 }
  /// The arena's mapping goes on behind its last record, so that no offset a record holds leads out of it.
  public static var arenaSlackBytes: Int { 128 << 10 }
  /// Buckets of the index, a power of two; a bucket has `IndexBucket.slotCount` entries.
  public static var indexBucketsMax: Int { 65_536 }
  /// Sites (values of Host that select different objects) the kernel part can tell apart.
  public static var sitesMax: Int { 256 }

  // MARK: Connections

  /// Connections the kernel part keeps state for; least recently used ones are forgotten first.
  public static var connectionsMax: Int { 131_072 }
  /// Local addresses and ports answered for.
  public static var listenersMax: Int { 1024 }
  /// Interfaces the kernel part is attached to.
  public static var interfacesMax: Int { 1024 }

  /// Prefixes of clients' addresses that are allowed, and that are denied.
  public static var prefixesMax: Int { 4096 }
  /// Routes from local addresses to clients, after those that say the same as a shorter one have been left out.
  public static var routesMax: Int { 16_384 }

  // MARK: Time

  /// The kernel part answers only while the daemon's last heartbeat is younger than this.
  public static var heartbeatAge_ns_max: UInt64 { 2_000_000_000 }
  /// How long one cookie key is in use; a cookie is valid for one to two such periods.
  public static var cookieKeyPeriod_s: UInt64 { 64 }
  /// Seconds of Date texts kept, most of them past ones: a retransmission repeats its Date.
  public static var datesKept_s: Int { 256 }

  // MARK: Events

  /// Bytes of the ring buffer that carries events to the daemon, a power of two.
  public static var eventRingBytes: Int { 1 << 20 }
  /// Bytes of the ring buffer that carries the access log, a power of two: what comes in between two visits of the
  /// daemon must fit. Without an access log it is not made that large.
  public static var accessRingBytes: Int { 4 << 20 }
  /// Miss events per second and CPU; further ones are counted, not sent.
  public static var missEventsPerSecondMax: UInt32 { 4096 }
  /// Misses are remembered for a second in a table of this many entries (a power of two), so that
  /// one missing object does not send an event for every request.
  public static var missFilterEntries: Int { 1024 }
}
