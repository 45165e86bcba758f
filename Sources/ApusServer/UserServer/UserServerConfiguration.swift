import Glibc

/// What can be set of the user-mode server; the defaults are those of `ServerLimits`.
struct UserServerConfiguration: Sendable {
  /// Connections open at once; more wait in the accept queue.
  var connectionsMax = ServerLimits.connectionsMaxDefault
  /// Memory for small files, all event loops together.
  var fileCacheBytesMax = ServerLimits.fileCacheBytesDefault
  var headTimeout_s = ServerLimits.headTimeout_s
  var idleTimeout_s = ServerLimits.idleTimeout_s
  var writeStallTimeout_s = ServerLimits.writeStallTimeout_s
  var lingerTimeout_s = ServerLimits.lingerTimeout_s
  var shutdownGrace_s = ServerLimits.shutdownGrace_s
  /// Who is served; connections of others are closed at once.
  var clients = ClientLists()

  init() {}

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
