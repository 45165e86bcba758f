import Glibc

/// How often a client may ask, and how clients are told apart.
public struct RequestRate: Sendable, Equatable {
  /// Requests in a second, on average. More than 0.
  public var requestsPerSecond: Double
  /// Requests that may come at once after a pause. At least 1.
  public var burst: Int

  public init(requestsPerSecond: Double, burst: Int) {
    self.requestsPerSecond = requestsPerSecond
    self.burst = burst
  }
}

/// Which addresses are taken for one client.
public struct ClientPrefixLengths: Sendable, Equatable {
  /// 0...32.
  public var ipv4 = 32
  /// 0...64: a household or a rented machine usually has a /64 of its own, or more.
  public var ipv6 = 64

  public init() {}
}

/// What can be set of the user-mode server; the defaults are those of `ServerLimits`.
public struct UserServerConfiguration: Sendable, Equatable {
  /// Connections open at once; more wait in the accept queue, until some end or idle ones make room.
  public var connectionsMax = ServerLimits.connectionsMaxDefault
  /// Connections one client may have open; further ones are closed at once. `nil`: as many as there are.
  public var connectionsPerClientMax: Int?
  /// Requests beyond it are answered 429. `nil`: no limit. What the kernel half answers is not counted.
  public var requestRate: RequestRate?
  public var clientPrefixLengths = ClientPrefixLengths()
  /// Memory for small files, all event loops together.
  public var fileCacheBytesMax = ServerLimits.fileCacheBytesDefault
  public var headTimeout_s = ServerLimits.headTimeout_s
  public var idleTimeout_s = ServerLimits.idleTimeout_s
  public var writeStallTimeout_s = ServerLimits.writeStallTimeout_s
  /// A client that takes fewer bytes than this in `writeStallTimeout_s` is taken for stalled.
  public var writeBytesMin = ServerLimits.writeBytesMin
  public var lingerTimeout_s = ServerLimits.lingerTimeout_s
  public var shutdownGrace_s = ServerLimits.shutdownGrace_s
  public var proxy = ProxyTimeouts()
  /// Who is served; connections of others are closed at once.
  public var clients = ClientLists()

  public init() {}

  /// Throws where a value has no meaning.
  func validate() throws(InvalidSetting) {
    if let rate = requestRate {
      guard rate.requestsPerSecond > 0, rate.requestsPerSecond <= 1e9 else {
        throw InvalidSetting("request rate", "\(rate.requestsPerSecond) requests a second is no rate")
      }
      guard rate.burst >= 1 else { throw InvalidSetting("request rate", "a burst is at least 1 request") }
    }
    if let connections = connectionsPerClientMax, connections < 1 {
      throw InvalidSetting("connections of a client", "\(connections) would serve nobody")
    }
    guard (0...32).contains(clientPrefixLengths.ipv4), (0...64).contains(clientPrefixLengths.ipv6) else {
      throw InvalidSetting("client prefixes", "lengths are 0 to 32 for IPv4 and 0 to 64 for IPv6")
    }
    let timeouts_s = [headTimeout_s, idleTimeout_s, writeStallTimeout_s, lingerTimeout_s] + proxy.all_s
    for timeout_s in timeouts_s where timeout_s < 1 {
      throw InvalidSetting("timeout", "\(timeout_s) s is too short: time is looked at once a second")
    }
  }

  /// Raises the limit of descriptors as far as the process may, and says how many connections it allows.
  ///
  /// - Parameter perConnection: descriptors a connection needs.
  func connectionsAllowed(perConnection: Int) -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return connectionsMax }
    if limit.rlim_cur < limit.rlim_max {
      var raised = limit
      raised.rlim_cur = limit.rlim_max
      if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
    }
    let descriptors = Int(clamping: limit.rlim_cur) - ServerLimits.descriptorsReserved
    return max(1, min(connectionsMax, descriptors / perConnection))
  }
}
