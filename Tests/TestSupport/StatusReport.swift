/// What `apus status --json` prints, as far as it is promised.
public struct StatusReport: Decodable, Sendable {
  public struct Kernel: Decodable, Sendable {
    /// Answers given by the kernel part, 304s among them.
    public var hits: Int
    public var notModified: Int
    /// By reason.
    public var handovers: [String: Int]
    public var connections: Int
    /// SYNs the kernel part did not answer itself.
    public var leftToKernel: Int?
    /// Of these, because the answer leaves by another interface.
    public var leftForRoute: Int?
    public var retransmissions: Int?
    /// By reason.
    public var drops: [String: Int]?
  }

  public struct Cache: Decodable, Sendable {
    public var objects: Int
    public var bytes: Int
    /// Of the object store.
    public var budget: Int?
    public var evictions: Int?
  }

  public struct AccessLog: Decodable, Sendable {
    public var lines: Int
    public var lostInKernel: Int
    public var lostInQueue: Int
    public var lostInWriting: Int
  }

  /// "kernel" or "user".
  public var mode: String
  public var interfaces: [String]
  public var kernel: Kernel?
  public var cache: Cache
  public var accessLog: AccessLog?

  public var hits: Int { kernel?.hits ?? 0 }
  /// Hand-overs for any reason.
  public var handovers: Int { kernel?.handovers.values.reduce(0, +) ?? 0 }

  public func handovers(_ reason: String) -> Int { kernel?.handovers[reason] ?? 0 }

  /// What the kernel part counted since an earlier report, zeros left out: for the messages of tests.
  public func changes(since earlier: StatusReport) -> String {
    func words(_ report: StatusReport) -> [String: Int] {
      guard let kernel = report.kernel else { return [:] }
      var all = ["hits": kernel.hits, "notModified": kernel.notModified, "connections": kernel.connections]
      all["leftToKernel"] = kernel.leftToKernel
      all["retransmissions"] = kernel.retransmissions
      all.merge(kernel.handovers) { $1 }
      for (reason, count) in kernel.drops ?? [:] { all["dropped:" + reason] = count }
      all["objects"] = report.cache.objects
      return all
    }
    let old = words(earlier)
    let moved = words(self).compactMapValues { $0 }.map { ($0.key, $0.value - (old[$0.key] ?? 0)) }
    return moved.filter { $0.1 != 0 }.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }
}
