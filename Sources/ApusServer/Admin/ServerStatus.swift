import Contract

/// What a running Apus tells about itself: the JSON of `apus status --json`. The names of the properties are the keys
/// and are relied on by others; new ones may be added, none may change. All counts are since the start.
public struct ServerStatus: Codable, Sendable, Equatable {
  /// Which half answers hits.
  public enum Mode: String, Codable, Sendable {
    case kernel, user
  }

  public var mode: Mode
  /// Why it is user mode.
  public var reason: String?
  /// Names of the interfaces the kernel part is attached to; none in user mode.
  public var interfaces: [String]
  /// ADDRESS:PORT of each listener.
  public var listen: [String]
  /// The document root.
  public var directory: String
  /// ADDRESS:PORT of the server behind, if it is not the built-in one.
  public var backend: String?
  public var uptime_s: Int
  /// All zero in user mode.
  public var kernel: KernelStatus
  public var cache: CacheStatus
  /// The user half; nil where the server behind is another program.
  public var server: UserServerStatus?
  /// nil where there is none.
  public var accessLog: AccessLogStatus?

  public init(
    mode: Mode, reason: String? = nil, interfaces: [String] = [], listen: [String], directory: String,
    backend: String? = nil, uptime_s: Int, kernel: KernelStatus = KernelStatus(), cache: CacheStatus = CacheStatus(),
    server: UserServerStatus? = nil, accessLog: AccessLogStatus? = nil
  ) {
    self.mode = mode
    self.reason = reason
    self.interfaces = interfaces
    self.listen = listen
    self.directory = directory
    self.backend = backend
    self.uptime_s = uptime_s
    self.kernel = kernel
    self.cache = cache
    self.server = server
    self.accessLog = accessLog
  }
}

/// What the kernel part counted (Contract/Counters.swift says what each one means).
public struct KernelStatus: Codable, Sendable, Equatable {
  /// Every answer given by the kernel part, 304s among them, retransmissions not.
  public var hits = 0
  public var notModified = 0
  /// By the name of the reason; every reason is there, also those that did not occur.
  public var handovers: [String: Int] = [:]
  /// By the name of the reason, as above.
  public var drops: [String: Int] = [:]
  /// Connections the kernel part keeps state for at this moment.
  public var connections = 0
  public var handshakes = 0
  public var retransmissions = 0
  public var acknowledgements = 0
  public var challenges = 0
  public var resets = 0
  public var finishes = 0
  public var missEvents = 0
  public var missEventsSuppressed = 0
  public var missEventsLost = 0
  public var leftToKernel = 0
  /// Of these, SYNs whose answer leaves by another interface.
  public var leftForRoute = 0
  /// Sent for responses of several segments.
  public var segments = 0
  /// Lines of the access log there was no room for in its ring.
  public var accessEventsLost = 0

  /// Names of the drops that are the normal course of things: bare acknowledgements end in the kernel part, and nobody
  /// sends them again.
  public static let normalDrops: Set<String> = [
    "\(DropReason.handshakeAcknowledgement)", "\(DropReason.acknowledgement)",
  ]

  /// - Parameters:
  ///   - counters: `CounterLayout.count` words, each the sum over all CPUs; words that are not there count as 0.
  ///   - connections: entries of the table of connections.
  public init(counters: [UInt64] = [], connections: Int = 0) {
    func word(_ index: Int) -> Int {
      counters.indices.contains(index) ? Int(truncatingIfNeeded: counters[index]) : 0
    }
    func count(_ counter: Counter) -> Int { word(Int(counter.rawValue)) }
    hits = count(.hits)
    notModified = count(.notModified)
    for reason in HandoverReason.allCases {
      handovers[String(describing: reason)] = word(CounterLayout.handovers + Int(reason.rawValue))
    }
    for reason in DropReason.allCases {
      drops[String(describing: reason)] = word(CounterLayout.drops + Int(reason.rawValue))
    }
    self.connections = connections
    handshakes = count(.handshakes)
    retransmissions = count(.retransmissions)
    acknowledgements = count(.acknowledgements)
    challenges = count(.challenges)
    resets = count(.resets)
    finishes = count(.finishes)
    missEvents = count(.missEvents)
    missEventsSuppressed = count(.missEventsSuppressed)
    missEventsLost = count(.missEventsLost)
    leftToKernel = count(.leftToKernel)
    segments = count(.segments)
    leftForRoute = count(.leftForRoute)
    accessEventsLost = count(.accessEventsLost)
  }
}

/// The store of objects the kernel part answers from.
public struct CacheStatus: Codable, Sendable, Equatable {
  public var objects: Int
  /// Of the records of all objects.
  public var bytes: Int
  /// Bytes there are for objects.
  public var budget: Int
  /// Of the budget, in use or not yet free for use again, the unused ends of blocks among them.
  public var bytesUsed: Int
  public var insertions: Int
  /// Objects that had to leave for others.
  public var evictions: Int
  /// Objects that were composed but not stored.
  public var refusals: Int
  /// Objects removed because of a change, or by a purge.
  public var invalidations: Int

  public init(
    objects: Int = 0, bytes: Int = 0, budget: Int = 0, bytesUsed: Int = 0, insertions: Int = 0, evictions: Int = 0,
    refusals: Int = 0, invalidations: Int = 0
  ) {
    self.objects = objects
    self.bytes = bytes
    self.budget = budget
    self.bytesUsed = bytesUsed
    self.insertions = insertions
    self.evictions = evictions
    self.refusals = refusals
    self.invalidations = invalidations
  }

  /// As the store counts.
  init(_ statistics: StoreStatistics) {
    self.init(
      objects: statistics.objects, bytes: statistics.bytes, budget: statistics.budget,
      bytesUsed: statistics.arenaBytesUsed, insertions: statistics.insertions, evictions: statistics.evictions,
      refusals: statistics.refusals, invalidations: statistics.invalidations)
  }
}

/// The built-in server, or the relay to a backend in user mode.
public struct UserServerStatus: Codable, Sendable, Equatable {
  /// Open at this moment.
  public var connections: Int
  public var requests: Int?

  public init(connections: Int, requests: Int? = nil) {
    self.connections = connections
    self.requests = requests
  }
}

/// The access log.
public struct AccessLogStatus: Codable, Sendable, Equatable {
  /// `-` is standard output.
  public var path: String
  /// `combined` or `json`.
  public var format: String
  /// Written since the start.
  public var lines: Int
  /// The ring of the kernel part was full.
  public var lostInKernel: Int
  /// Too many lines of the user half were waiting.
  public var lostInQueue: Int
  /// The file did not take them: a full disk, a reader that has gone.
  public var lostInWriting: Int

  public init(
    path: String, format: String, lines: Int = 0, lostInKernel: Int = 0, lostInQueue: Int = 0, lostInWriting: Int = 0
  ) {
    self.path = path
    self.format = format
    self.lines = lines
    self.lostInKernel = lostInKernel
    self.lostInQueue = lostInQueue
    self.lostInWriting = lostInWriting
  }

  public var lost: Int { lostInKernel + lostInQueue + lostInWriting }
}
