import ApusServer
import ArgumentParser

/// A setting that is a value or a list of values: in the file, as an environment variable, and most as a flag.
///
/// The table of them is what the file and the environment are read by, and what the reference page is written from.
struct Setting: Sendable {
  enum Form: Sendable {
    /// A value, and what it is: `seconds`.
    case one(String)
    /// Values; what one of them is.
    case many(String)
  }

  /// As in the file, with dots between levels: `tls.listen`.
  let key: String
  /// Without its dashes; `nil`: there is none.
  let flag: String?
  let form: Form
  let summary: String
  /// In words or as it is written; `nil`: nothing is set.
  let preset: String?
  /// Whether `apus reload` and SIGHUP can change it.
  let isReloadable: Bool
  /// Whether the value is the path of a file: one in the file is relative to the file.
  let isPath: Bool
  /// Sets it. Throws a `ValidationError` for a value that has no meaning.
  let set: @Sendable (_ values: [String], _ settings: inout ServeSettings) throws -> Void

  init(
    _ key: String, flag: String? = nil, _ form: Form, _ summary: String, preset: String? = nil,
    isReloadable: Bool = true, isPath: Bool = false,
    set: @escaping @Sendable ([String], inout ServeSettings) throws -> Void
  ) {
    self.key = key
    self.flag = flag
    self.form = form
    self.summary = summary
    self.preset = preset
    self.isReloadable = isReloadable
    self.isPath = isPath
    self.set = set
  }

  var isList: Bool { if case .many = form { true } else { false } }
  var levels: [String] { Self.levels(of: key) }
  static func levels(of key: String) -> [String] { key.split(separator: ".").map(String.init) }
  /// `APUS_TLS_LISTEN`
  var environmentVariable: String {
    "APUS_" + key.uppercased().map { $0 == "." || $0 == "-" ? "_" : String($0) }.joined()
  }
}

extension Setting {
  /// In the order of the reference page.
  static let all: [Setting] = places + answers + clients + tls + accessLog + limits + timeouts

  private static let places: [Setting] = [
    Setting("directory", .one("dir"), "The document root.", preset: "`.`", isPath: true) { $1.directory = $0[0] },
    Setting(
      "listen", flag: "listen", .many("addr:port"), "Where HTTP is answered.", preset: "`127.0.0.1:8080`",
      isReloadable: false
    ) { $1.listen = try $0.map(AddressArgument.parse) },
    Setting(
      "mode", flag: "mode", .one("auto, kernel or user"), "Where requests are answered.", preset: "`auto`",
      isReloadable: false
    ) { $1.mode = try ServeCommand.parseMode($0[0]) },
    Setting(
      "interface", flag: "interface", .many("name"), "Network interfaces the kernel part is attached to.",
      preset: "those that carry the addresses", isReloadable: false
    ) { $1.interfaces = $0 },
    Setting(
      "backend", flag: "backend", .many("addr:port"),
      "An unmodified server on this host that can answer every request; an IPv4 and an IPv6 address, or one of them.",
      isReloadable: false
    ) { $1.backends = try $0.map(AddressArgument.parseBackend) },
    Setting(
      "proxy", flag: "proxy", .one("url"),
      "A server that answers what is not a file. Reloading changes it, and cannot make it come or go."
    ) { $1.proxy = try UpstreamOptions.parse($0[0]) },
    Setting(
      "proxy-ca", flag: "proxy-ca", .one("path"),
      "Certificates in PEM that the one of a `proxy` with `https` must go back to. Read again when reloading.",
      preset: "those the system trusts", isPath: true
    ) { $1.proxyAuthorities = $0[0] },
    Setting(
      "admin", flag: "admin", .one("path"), "The admin socket.",
      preset: "`/run/apus/admin.sock`, or in `$XDG_RUNTIME_DIR` or the temporary directory", isReloadable: false,
      isPath: true
    ) { $1.admin = $0[0] },
  ]

  private static let answers: [Setting] = [
    Setting(
      "cache-size", flag: "cache-size", .one("bytes"), "Memory for objects of the kernel part, a power of two.",
      preset: "`64M`", isReloadable: false
    ) { $1.cacheSize = try ByteSize.parse($0[0]) },
    Setting(
      "kernel-only", flag: "kernel-only", .many("/prefix/ or .extension"), "Only such paths are answered in the kernel."
    ) { $1.kernelOnly = try $0.map(PathPatternArgument.parse) },
    Setting(
      "kernel-never", flag: "kernel-never", .many("/prefix/ or .extension"),
      "Such paths are never answered in the kernel."
    ) { $1.kernelNever = try $0.map(PathPatternArgument.parse) },
  ]

  private static let clients: [Setting] = [
    Setting("allow", flag: "allow", .many("prefix"), "Only clients in one of these prefixes are served.") {
      $1.allow = try $0.map(PrefixArgument.parse)
    },
    Setting("deny", flag: "deny", .many("prefix"), "Clients in one of these prefixes are not served.") {
      $1.deny = try $0.map(PrefixArgument.parse)
    },
  ]

  private static let tls: [Setting] = [
    Setting("tls.listen", flag: "tls", .many("addr:port"), "Where HTTPS is answered.", isReloadable: false) {
      $1.tlsListen = try $0.map(AddressArgument.parse)
    },
    Setting(
      "tls.hsts", flag: "hsts", .one("seconds"), "How long browsers are told to ask over HTTPS only.",
      preset: "they are not told"
    ) { $1.hsts_s = try Number.parse($0[0], 0...Int(UInt32.max)) },
  ]

  private static let accessLog: [Setting] = [
    Setting(
      "access-log.path", flag: "access-log", .one("path"),
      "Where requests are logged; `-` is standard output. SIGUSR1 opens the file anew.", preset: "nowhere",
      isReloadable: false, isPath: true
    ) { $1.accessLogPath = $0[0] },
    Setting(
      "access-log.format", flag: "access-log-format", .one("combined or json"), "How the access log looks.",
      preset: "`combined`", isReloadable: false
    ) { $1.accessLogFormat = try AccessLogOptionGroup.parse($0[0]) },
  ]

  private static let limits: [Setting] = [
    Setting(
      "limits.connections", .one("number"),
      "Connections of the user half open at once; more wait, and idle ones make room.",
      preset: "`\(UserServerConfiguration().connectionsMax)`",
      isReloadable: false
    ) { $1.server.connectionsMax = try Number.parse($0[0], 1...10_000_000) },
    Setting(
      "limits.connections-per-client", .one("number"), "Connections to the user half one client may have.",
      preset: "no limit"
    ) { $1.server.connectionsPerClientMax = try Number.parse($0[0], 1...10_000_000) },
    Setting(
      "limits.requests-per-second", .one("number"),
      "Requests to the user half one client may make, on average; others are answered 429. Hits of the kernel part are "
        + "not counted.", preset: "no limit"
    ) {
      let rate = try Number.parse($0[0], 0.001...1e9)
      $1.server.requestRate = RequestRate(
        requestsPerSecond: rate, burst: $1.server.requestRate?.burst ?? max(1, Int(rate)))
    },
    Setting(
      "limits.request-burst", .one("number"), "Requests that may come at once after a pause.",
      preset: "as many as in a second"
    ) {
      guard let rate = $1.server.requestRate else {
        throw ValidationError("a burst needs limits.requests-per-second beside it")
      }
      let burst = try Number.parse($0[0], 1...1_000_000_000)
      $1.server.requestRate = RequestRate(requestsPerSecond: rate.requestsPerSecond, burst: burst)
    },
    Setting(
      "limits.client-prefix-ipv4", .one("bits"), "Addresses with so many first bits in common are one client.",
      preset: "`32`"
    ) { $1.server.clientPrefixLengths.ipv4 = try Number.parse($0[0], 0...32) },
    Setting("limits.client-prefix-ipv6", .one("bits"), "The same for IPv6.", preset: "`64`") {
      $1.server.clientPrefixLengths.ipv6 = try Number.parse($0[0], 0...64)
    },
    Setting(
      "limits.file-cache", .one("bytes"), "Memory of the user half for small files.",
      preset: "`\(ByteSize(bytes: UserServerConfiguration().fileCacheBytesMax))`"
    ) { $1.server.fileCacheBytesMax = try ByteSize.parse($0[0], upTo: 1 << 40) },
  ]

  private static let timeouts: [Setting] = [
    seconds("timeouts.head", "From the first byte of a request to its last.", \.headTimeout_s),
    seconds("timeouts.idle", "Between two requests of a connection.", \.idleTimeout_s),
    seconds("timeouts.write", "For a client that takes next to nothing of its answer.", \.writeStallTimeout_s),
    seconds("timeouts.linger", "For what a client still sends after its last answer.", \.lingerTimeout_s),
    seconds("timeouts.grace", "For answers on their way when Apus is stopped.", \.shutdownGrace_s),
    seconds(
      "timeouts.body", "Without a byte of a request's body from the client, on its way to `proxy`; then 408.",
      \.proxy.body_s),
    seconds(
      "timeouts.proxy-connect", "Until there is a connection to `proxy`, its TLS handshake with it; then 504.",
      \.proxy.connect_s),
    seconds(
      "timeouts.proxy-read",
      "Without a byte from `proxy`, or taken by it; then 504, or the end of an answer that has begun.",
      \.proxy.read_s),
    seconds("timeouts.proxy-idle", "How long a connection to `proxy` is kept between requests.", \.proxy.idle_s),
    seconds("timeouts.websocket", "Without a byte either way over a WebSocket to `proxy`.", \.proxy.tunnel_s),
  ]

  private static func seconds(
    _ key: String, _ summary: String, _ path: WritableKeyPath<UserServerConfiguration, Int> & Sendable
  ) -> Setting {
    Setting(key, .one("seconds"), summary, preset: "`\(UserServerConfiguration()[keyPath: path])`") {
      $1.server[keyPath: path] = try Number.parse($0[0], 1...86_400)
    }
  }
}

/// A number in the file or the environment.
enum Number {
  static func parse<Value: LosslessStringConvertible & Comparable>(
    _ text: String, _ range: ClosedRange<Value>
  ) throws -> Value {
    guard let number = Value(text), range.contains(number) else {
      throw ValidationError("'\(text)' is no number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
