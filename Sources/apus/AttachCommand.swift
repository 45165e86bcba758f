import ApusServer
import ArgumentParser
import Contract
import Logging

/// `apus attach`.
struct AttachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Take work off the server that listens at an address already.",
    discussion: """
      The server is not touched: its answers are learned by asking it, and repeated in the kernel while they are fresh \
      (RFC 9111). All else arrives at the server as before, and after SIGTERM or SIGINT everything does. Prints two \
      lines once it is ready; the second one says what holds for the answers that are kept.
      """)

  /// A year; what is fresh for longer is asked for again sooner anyway.
  static let ttl_s_max = 31_536_000

  @Argument(
    help: ArgumentHelp("Where the server listens.", valueName: "addr:port"), transform: AddressArgument.parseBackend)
  var address: ListenAddress

  @Option(
    help: ArgumentHelp(
      "The server's document root.",
      discussion: """
        It is watched, and answers that are files below it are kept until they change, with the Date of the moment.
        """, valueName: "dir"), completion: .directory)
  var root: String?

  @Option(
    help: ArgumentHelp(
      "Keep answers that do not say how long they are fresh for so many seconds.",
      discussion: "By default they are not kept. With --root: ask again for a file after so long.",
      valueName: "seconds"),
    transform: Self.parseSeconds)
  var ttl: Int?

  @Option(
    name: .customLong("interface"), parsing: .singleValue,
    help: ArgumentHelp(
      "Network interface to attach the kernel part to; may be repeated.",
      discussion: "By default those that carry the address.", valueName: "name"))
  var interfaces: [String] = []

  @OptionGroup var accessLog: AccessLogOptionGroup
  @OptionGroup var admin: AdminOptions

  @Option(
    help: ArgumentHelp("Memory for objects, a power of two: 32M, 256M. (default: 64M)", valueName: "bytes"),
    transform: ByteSize.parse)
  var cacheSize = ByteSize(bytes: Limits.arenaBytesDefault)

  @Flag(help: "Log what is done, not only what goes wrong, to standard error.")
  var verbose = false

  static func parseSeconds(_ text: String) throws -> Int {
    guard let seconds = Int(text), (1...ttl_s_max).contains(seconds) else {
      throw ValidationError("'\(text)' is no time to keep answers: write seconds from 1 to \(ttl_s_max)")
    }
    return seconds
  }

  func validate() throws {
    try AccessLogOptionGroup.validate(path: accessLog.path, format: accessLog.format)
    if root?.isEmpty == true { throw ValidationError("--root needs a directory") }
    var seen: Set<String> = []
    for name in interfaces {
      guard seen.insert(name).inserted else { throw ValidationError("--interface \(name) is given twice") }
      guard ServeSettings.isInterfaceName(name) else {
        throw ValidationError("'\(name)' cannot be the name of an interface")
      }
    }
  }

  var options: AttachOptions {
    var options = AttachOptions(
      address: address, root: root, ttl_s: ttl, interfaces: interfaces, adminPath: admin.path,
      cacheBytes: cacheSize.bytes)
    options.accessLog = accessLog.options
    return options
  }

  func run() async throws {
    let level: Logger.Level = verbose ? .debug : .notice
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    try await Attach.run(options)
  }
}
