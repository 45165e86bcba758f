/// What `apus status --json` prints, as far as it is promised.
public struct StatusReport: Decodable, Sendable {
  public struct Kernel: Decodable, Sendable {
    /// Answers given by the kernel part, 304s among them.
    public var hits: Int
    public var notModified: Int
    /// By reason.
    public var handovers: [String: Int]
    public var connections: Int
  }

  public struct Cache: Decodable, Sendable {
    public var objects: Int
    public var bytes: Int
  }

  /// "kernel" or "user".
  public var mode: String
  public var interfaces: [String]
  public var kernel: Kernel?
  public var cache: Cache

  public var hits: Int { kernel?.hits ?? 0 }
  /// Hand-overs for any reason.
  public var handovers: Int { kernel?.handovers.values.reduce(0, +) ?? 0 }

  public func handovers(_ reason: String) -> Int { kernel?.handovers[reason] ?? 0 }
}
