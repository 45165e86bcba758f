import ApusServer
import ArgumentParser
import Logging

/// `apus serve`.
struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a directory, or take work off a server that does.",
    discussion: """
      Prints one line once it is ready, and serves until SIGTERM or SIGINT. Hits of kernel mode never meet the \
      firewall's INPUT rules: see 'apus doctor'.
      """)

  @Argument(help: ArgumentHelp("The document root. (default: .)", valueName: "dir"), completion: .directory)
  var directory: String?

  @OptionGroup var configuration: ConfigurationOptions

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Address and port to answer at; may be repeated. (default: 127.0.0.1:8080)",
      discussion: "':8080' or '*:8080' stands for all IPv4 addresses, '[::]:8080' for all of IPv6 as well.",
      valueName: "addr:port"),
    transform: AddressArgument.parse)
  var listen: [ListenAddress] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "An unmodified server on this host that can answer every request; once for IPv4, once for IPv6.",
      discussion: "Objects are its own answers; DIR, its document root, tells when they change.",
      valueName: "addr:port"),
    transform: AddressArgument.parseBackend)
  var backend: [ListenAddress] = []

  @OptionGroup var upstream: UpstreamOptions
  @OptionGroup var tls: TLSOptionGroup

  @Option(
    help: ArgumentHelp("Where requests are answered: auto, kernel or user. (default: auto)", valueName: "mode"),
    transform: Self.parseMode)
  var mode: ServeMode?

  @Option(
    name: .customLong("interface"), parsing: .singleValue,
    help: ArgumentHelp(
      "Network interface to attach the kernel part to; may be repeated.",
      discussion: "By default those that carry the addresses listened at.", valueName: "name"))
  var interfaces: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Serve only clients in this prefix of addresses; may be repeated.", valueName: "prefix"),
    transform: PrefixArgument.parse)
  var allow: [AddressPrefix] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Do not serve clients in this prefix of addresses; may be repeated.",
      discussion: "Stands before hits, which the firewall's INPUT rules do not.", valueName: "prefix"),
    transform: PrefixArgument.parse)
  var deny: [AddressPrefix] = []

  @Option(
    name: .customLong("kernel-only"), parsing: .singleValue,
    help: ArgumentHelp(
      "Answer only such paths in the kernel: /prefix/ or .extension; may be repeated.", valueName: "pattern"),
    transform: PathPatternArgument.parse)
  var kernelOnly: [PathSelection.Pattern] = []

  @Option(
    name: .customLong("kernel-never"), parsing: .singleValue,
    help: ArgumentHelp(
      "Never answer such paths in the kernel: /prefix/ or .extension; may be repeated.", valueName: "pattern"),
    transform: PathPatternArgument.parse)
  var kernelNever: [PathSelection.Pattern] = []

  @Flag(help: "Answer a directory without an index.html with a list of its files.")
  var listing = false

  @OptionGroup var accessLog: AccessLogOptionGroup
  @OptionGroup var admin: AdminOptions

  @Option(
    help: ArgumentHelp(
      "Memory for objects, a power of two: 32M, 256M. (default: 64M)", valueName: "bytes"),
    transform: ByteSize.parse)
  var cacheSize: ByteSize?

  @Flag(help: "Log what is done, not only what goes wrong, to standard error.")
  var verbose = false

  static func parseMode(_ text: String) throws -> ServeMode {
    guard let mode = ServeMode(rawValue: text) else {
      let all = ServeMode.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("'\(text)' is no mode; there are \(all)")
    }
    return mode
  }

  func validate() throws {
    // What is wrong with flags alone is wrong usage; with a file it is seen with its settings.
    if configuration.path == nil { try settings(over: ServeSettings()).validate() }
  }

  /// Flags stand over what is set otherwise.
  private var flags: @Sendable (inout ServeSettings) -> Void {
    let certificates = zip(tls.certificate, tls.key).map { CertificateFiles(certificate: $0, key: $1) }
    return {
      [
        directory, listen, backend, proxy = upstream.proxy,
        proxyAuthorities = upstream.authorities, mode, interfaces, allow, deny, kernelOnly, kernelNever,
        admin = admin.path, cacheSize, tlsListen = tls.listen,
        hsts = tls.hsts, listing, accessLog
      ] settings in
      settings.directory = directory ?? settings.directory
      if !listen.isEmpty { settings.listen = listen }
      if !backend.isEmpty { settings.backends = backend }
      settings.proxy = proxy ?? settings.proxy
      settings.proxyAuthorities = proxyAuthorities ?? settings.proxyAuthorities
      settings.mode = mode ?? settings.mode
      if !interfaces.isEmpty { settings.interfaces = interfaces }
      if !allow.isEmpty { settings.allow = allow }
      if !deny.isEmpty { settings.deny = deny }
      if !kernelOnly.isEmpty { settings.kernelOnly = kernelOnly }
      if !kernelNever.isEmpty { settings.kernelNever = kernelNever }
      settings.admin = admin ?? settings.admin
      settings.cacheSize = cacheSize ?? settings.cacheSize
      if !tlsListen.isEmpty { settings.tlsListen = tlsListen }
      if !certificates.isEmpty { settings.certificates = certificates }
      settings.hsts_s = hsts ?? settings.hsts_s
      if listing { settings.site.listing = true }
      settings.accessLogPath = accessLog.path ?? settings.accessLogPath
      settings.accessLogFormat = accessLog.format ?? settings.accessLogFormat
    }
  }

  func settings(over settings: ServeSettings) -> ServeSettings {
    var settings = settings
    flags(&settings)
    return settings
  }

  /// The options as they are now: read again each time.
  func loader() -> @Sendable () throws -> ServeOptions {
    let flags = flags
    let configuration = configuration.source
    return {
      var settings = try configuration.load()
      flags(&settings)
      return try configuration.checked(settings)
    }
  }

  func run() async throws {
    let level: Logger.Level = verbose ? .debug : .notice
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let load = loader()
    try await Serve.run(try load(), reload: load)
  }
}
