import ApusServer
import ArgumentParser
import Contract

/// What is set of `apus serve`, wherever it was set: by flags, environment variables, or a file.
struct ServeSettings: Sendable {
  var directory = "."
  var listen: [ListenAddress] = []
  /// At most one of each family.
  var backends: [ListenAddress] = []
  var proxy: UpstreamURL?
  var proxyAuthorities: String?
  var mode = ServeMode.auto
  var interfaces: [String] = []
  var allow: [AddressPrefix] = []
  var deny: [AddressPrefix] = []
  var kernelOnly: [PathSelection.Pattern] = []
  var kernelNever: [PathSelection.Pattern] = []
  var admin: String?
  var cacheSize = ByteSize(bytes: Limits.arenaBytesDefault)
  var tlsListen: [ListenAddress] = []
  var certificates: [CertificateFiles] = []
  var hsts_s: Int?
  var site = SiteSettings()
  var hosts: [VirtualHost] = []
  var server = UserServerConfiguration()
  var accessLogPath: String?
  var accessLogFormat: AccessLogFormat?

  var options: ServeOptions {
    var options = ServeOptions(
      directory: directory, listen: listen.isEmpty ? [.default] : listen, backend: backends.first, mode: mode,
      interfaces: interfaces, adminPath: admin, cacheBytes: cacheSize.bytes,
      clients: ClientLists(allowed: allow, denied: deny),
      kernelPaths: PathSelection(only: kernelOnly, never: kernelNever), upstream: proxy,
      tls: tlsListen.isEmpty
        ? nil : TLSOptions(listen: tlsListen, certificates: certificates, hsts_s: hsts_s))
    options.upstreamAuthorities = proxyAuthorities
    options.backendOfOtherFamily = backends.dropFirst().first
    options.site = site
    options.virtualHosts = hosts
    options.server = server
    options.accessLog = accessLogPath.map { AccessLogOptions(path: $0, format: accessLogFormat ?? .combined) }
    return options
  }

  /// Throws a `ValidationError` where settings contradict each other, or one of them itself.
  func validate() throws {
    if directory.isEmpty { throw ValidationError("the directory has no name") }
    if admin?.isEmpty == true { throw ValidationError("--admin needs a path") }
    try AccessLogOptionGroup.validate(path: accessLogPath, format: accessLogFormat)
    try Self.requireDistinct(listen.map(\.description), option: "--listen")
    try Self.requireDistinct(interfaces, option: "--interface")
    try Self.requireDistinct(kernelOnly.map(\.description), option: "--kernel-only")
    try Self.requireDistinct(kernelNever.map(\.description), option: "--kernel-never")
    for (option, count) in [("--allow", allow.count), ("--deny", deny.count)] where count > Limits.prefixesMax {
      throw ValidationError("\(option) is given more than \(Limits.prefixesMax) times")
    }
    for name in interfaces where !Self.isInterfaceName(name) {
      throw ValidationError("'\(name)' cannot be the name of an interface")
    }
    if mode == .user, !interfaces.isEmpty {
      throw ValidationError("--interface is for kernel mode, and --mode is user")
    }
    let plain = options.listen
    try validateServersBehind(plain)
    try validateTLS(plain)
  }

  private func validateServersBehind(_ plain: [ListenAddress]) throws {
    if backends.count > 2 || (backends.count == 2 && backends[0].address.isIPv4 == backends[1].address.isIPv4) {
      throw ValidationError("--backend is one server: give its IPv4 address, its IPv6 address, or one of each")
    }
    for backend in backends {
      if proxy != nil {
        throw ValidationError("--backend answers every request, and --proxy is for those Apus leaves: give one of them")
      }
      if !hosts.isEmpty {
        throw ValidationError("--backend answers for all hosts: there are no 'hosts' of Apus's own beside it")
      }
      if Self.isTaken(backend, by: plain) {
        throw ValidationError("--backend \(backend) is an address Apus itself is to listen at")
      }
    }
    if proxyAuthorities != nil, proxy?.isTLS != true {
      throw ValidationError("--proxy-ca is for the certificate of a --proxy https://...")
    }
    guard let proxy, !proxy.isTLS, let address = ListenAddress(proxy.listenText) else { return }
    if Self.isTaken(address, by: plain) {
      throw ValidationError("--proxy \(proxy) is an address Apus itself is to listen at")
    }
  }

  private func validateTLS(_ plain: [ListenAddress]) throws {
    guard !tlsListen.isEmpty else {
      for (option, isGiven) in [("--certificate", !certificates.isEmpty), ("--hsts", hsts_s != nil)]
      where isGiven {
        throw ValidationError("\(option) is for HTTPS; say where to answer it with --tls")
      }
      return
    }
    try Self.requireDistinct(tlsListen.map(\.description), option: "--tls")
    guard !certificates.isEmpty else { throw ValidationError("--tls needs --certificate and --key") }
    if let hsts_s, hsts_s < 0 { throw ValidationError("--hsts \(hsts_s) is no number of seconds") }
    for address in tlsListen where Self.isTaken(address, by: plain) {
      throw ValidationError("--tls \(address) is an address for HTTP already")
    }
  }

  private static func isTaken(_ address: ListenAddress, by addresses: [ListenAddress]) -> Bool {
    addresses.contains { $0.overlaps(address) }
  }

  static func requireDistinct(_ values: [String], option: String) throws {
    var seen: Set<String> = []
    for value in values where !seen.insert(value).inserted {
      throw ValidationError("\(option) \(value) is given twice")
    }
  }

  /// As dev_valid_name (net/core/dev.c) has it: at most IFNAMSIZ - 1 bytes, no slash, colon or space.
  static func isInterfaceName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count < 16 && name != "." && name != ".."
      && !name.contains { $0 == "/" || $0 == ":" || $0.isWhitespace }
  }
}
