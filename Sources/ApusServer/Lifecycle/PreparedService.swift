import Logging

/// What the options come to: everything that can be wrong with them has been looked at, and nothing is in use yet.
struct PreparedService: Sendable {
  let sites: Sites
  /// Where the kernel half gets its objects.
  let origin: any Origin
  let upstream: Upstream?
  let tls: TLSSettings?
  let configuration: UserServerConfiguration

  /// Opens document roots and loads certificates.
  ///
  /// - Throws: errors that describe themselves.
  init(_ options: ServeOptions, logger: Logger) throws {
    guard options.backend == nil || options.virtualHosts.isEmpty else {
      throw ServeFailure("the server behind answers for all hosts: there are no sites of Apus's own with a backend")
    }
    var configuration = options.server
    configuration.clients = options.clients
    try configuration.validate()
    self.configuration = configuration
    let root = try DocumentRoot(path: options.directory, rules: try SiteRules(options.site))
    sites = try Sites(root, hosts: options.virtualHosts)
    let origin: any Origin
    if let backend = options.backend {
      origin = Backend(
        endpoint: BackendEndpoint(address: backend.address, port: backend.port), root: root.path)
    } else {
      origin = sites
    }
    self.origin = SelectedOrigin(
      origin: origin, selection: options.kernelPaths, filesOnly: options.upstream != nil)
    tls = try options.tls.map {
      TLSSettings(certificates: try CertificateStore($0.certificates, logger: logger), hsts_s: $0.hsts_s)
    }
    if let backend = options.backend {
      upstream = try Upstream(UpstreamURL(isTLS: false, host: backend.host, port: backend.port), filesComeFirst: false)
    } else {
      upstream = try options.upstream.map {
        try Upstream($0, filesComeFirst: true, authorities: options.upstreamAuthorities)
      }
    }
  }

  func makeServer(accessLog: AccessLog? = nil, logger: Logger) -> UserServer {
    UserServer(
      sites: sites, configuration: configuration, upstream: upstream, accessLog: accessLog, logger: logger)
  }
}

extension ServeOptions {
  /// Looks at everything that can be wrong, as `Serve.run` does before it listens.
  ///
  /// - Throws: errors that describe themselves.
  public func check() throws { _ = try PreparedService(self, logger: Logger(label: "apus")) }
}
