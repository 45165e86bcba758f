import Logging

extension Daemon {
  /// Takes the options as they are now. Either all of them hold when it returns, for the next request of every
  /// connection, or it throws and nothing has changed.
  func reload() throws {
    try reloading.withLock { current in
      let options = try loadOptions()
      let fixed = current.settingsFixed(comparedTo: options)
      guard fixed.isEmpty else {
        throw ServeFailure(
          "\(fixed.joined(separator: ", ")) cannot change while Apus runs: restart it; nothing was changed")
      }
      let service = try PreparedService(options, logger: logger)
      // The kernel half first: as long as it answers by the old options, so may the user half.
      try halves.kernel?.take(options, origin: service.origin)
      if case .server(let server) = halves.front {
        try server.take(
          sites: service.sites, configuration: service.configuration, upstream: service.upstream, tls: service.tls)
      }
      current = options
      logger.notice("reloaded")
    }
  }
}

extension ServeOptions {
  /// Names of the settings that differ and are fixed when Apus starts: sockets, maps and memory of other sizes.
  public func settingsFixed(comparedTo other: ServeOptions) -> [String] {
    [
      ("listen", listen == other.listen), ("tls.listen", tls?.listen == other.tls?.listen),
      ("backend", backend == other.backend && backendOfOtherFamily == other.backendOfOtherFamily),
      ("proxy", (upstream == nil) == (other.upstream == nil)),
      ("mode", mode == other.mode), ("interface", interfaces == other.interfaces),
      ("admin", adminPath == other.adminPath), ("cache-size", cacheBytes == other.cacheBytes),
      ("access-log", accessLog == other.accessLog),
      ("limits.connections", server.connectionsMax == other.server.connectionsMax),
    ].filter { !$0.1 }.map(\.0)
  }
}
