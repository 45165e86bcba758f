import ApusServer
import ArgumentParser
import Contract
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

  @Argument(help: ArgumentHelp("The document root.", valueName: "dir"), completion: .directory)
  var directory = "."

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Address and port to answer at; may be repeated. (default: 127.0.0.1:8080)",
      discussion: "':8080' or '*:8080' stands for all addresses.", valueName: "addr:port"),
    transform: AddressArgument.parse)
  var listen: [ListenAddress] = []

  @Option(
    help: ArgumentHelp(
      "An unmodified server on this host that can answer every request.",
      discussion: "Objects are its own answers; DIR, its document root, tells when they change.",
      valueName: "addr:port"),
    transform: AddressArgument.parseBackend)
  var backend: ListenAddress?

  @OptionGroup var upstream: UpstreamOptions
  @OptionGroup var tls: TLSOptionGroup

  @Option(
    help: ArgumentHelp("Where requests are answered: auto, kernel or user.", valueName: "mode"),
    transform: Self.parseMode)
  var mode = ServeMode.auto

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

  @OptionGroup var admin: AdminOptions

  @Option(
    help: ArgumentHelp(
      "Memory for objects, a power of two: 32M, 256M. (default: 64M)", valueName: "bytes"),
    transform: ByteSize.parse)
  var cacheSize = ByteSize(bytes: Limits.arenaBytesDefault)

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
    if directory.isEmpty { throw ValidationError("the directory has no name") }
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
    try upstream.validate(backend: backend, listen: options.listen)
    try tls.validate(listen: options.listen)
    if backend != nil, listing {
      throw ValidationError("--listing is for Apus's own answers, and with --backend the server behind answers")
    }
    if let backend, options.listen.contains(where: { $0.port == backend.port && Self.overlap($0, backend) }) {
      throw ValidationError("--backend \(backend) is an address Apus itself is to listen at")
    }
  }

  /// A wildcard takes every address of its port.
  static func overlap(_ address: ListenAddress, _ other: ListenAddress) -> Bool {
    address.isWildcard || other.isWildcard || address.address == other.address
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

  var options: ServeOptions {
    var options = ServeOptions(
      directory: directory,
      listen: listen.isEmpty ? [.default] : listen,
      backend: backend, mode: mode, interfaces: interfaces, adminPath: admin.path, cacheBytes: cacheSize.bytes,
      clients: ClientLists(allowed: allow, denied: deny),
      kernelPaths: PathSelection(only: kernelOnly, never: kernelNever), upstream: upstream.proxy, tls: tls.options)
    options.site.listing = listing
    return options
  }

  func run() async throws {
    let level: Logger.Level = verbose ? .debug : .notice
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    try await Serve.run(options)
  }
}
