import Contract
import Glibc
import Logging

/// What `apus attach` is asked to do.
public struct AttachOptions: Sendable {
  /// Where the server listens that is to be accelerated.
  public var address: ListenAddress
  /// Its document root, if that is to be watched.
  public var root: String?
  /// How long answers without freshness of their own are kept.
  public var ttl_s: Int?
  /// Names of the interfaces to attach to; empty: those that carry the address.
  public var interfaces: [String]
  /// Path of the admin socket; `nil`: the default (`AdminSocket.defaultPath`).
  public var adminPath: String?
  /// Memory budget of the object store, a power of two.
  public var cacheBytes: Int
  /// Where hits and hand-overs are logged; `nil`: nowhere.
  public var accessLog: AccessLogOptions?

  public init(
    address: ListenAddress, root: String? = nil, ttl_s: Int? = nil, interfaces: [String] = [],
    adminPath: String? = nil, cacheBytes: Int = Limits.arenaBytesDefault
  ) {
    self.address = address
    self.root = root
    self.ttl_s = ttl_s
    self.interfaces = interfaces
    self.adminPath = adminPath
    self.cacheBytes = cacheBytes
  }
}

/// `apus attach`: puts the kernel half before a server that is there already, and is not touched.
public enum Attach {
  /// Accelerates the server until SIGTERM or SIGINT, then detaches cleanly: requests are handed over until no connection
  /// is left in the kernel part. Prints two lines on standard output as soon as requests are answered.
  ///
  /// Throws a `ServeFailure`, or another error that describes itself, if it cannot begin.
  public static func run(_ options: AttachOptions) async throws {
    signal(SIGPIPE, SIG_IGN)
    let logger = Logger(label: "apus")
    let endpoint = BackendEndpoint(
      address: options.address.address, port: options.address.port, isAttachedTo: true)
    try checkListener(endpoint)
    let root = try options.root.map { try DocumentRoot(path: $0).path }
    let origin = Backend(endpoint: endpoint, root: root, ttl_s: options.ttl_s)
    var serving = ServeOptions(
      directory: root ?? "", listen: [options.address], backend: options.address, mode: .kernel,
      interfaces: options.interfaces, adminPath: options.adminPath, cacheBytes: options.cacheBytes)
    serving.accessLog = options.accessLog
    let accessLog = try options.accessLog.map { try AccessLog($0, logger: logger) }
    let kernel: KernelHalf
    do {
      kernel = try KernelHalf(serving, origin: origin, admission: Admission(), logger: logger)
    } catch let failure as ServeFailure {
      throw failure
    } catch {
      throw ServeFailure("kernel mode is impossible: \(error)")
    }
    let halves = Halves(front: .none, kernel: kernel, userModeReason: "", accessLog: accessLog)
    let daemon = Daemon(
      options: serving, halves, subject: root ?? "answers of \(options.address)", logger: logger
    ) {
      throw ServeFailure("there is nothing to reload: what is learned from a server is forgotten by 'apus purge'")
    }
    let admin = try AdminServer(
      path: try options.adminPath ?? AdminSocket.defaultPath(), handler: daemon, logger: logger)
    defer { admin.stop() }
    accessLog?.start(kernel: kernel.part)
    try kernel.start()
    admin.start()
    let signals = await DaemonSignals(daemon, reloads: accessLog == nil)
    Serve.announce(readyLine(options, interfaces: kernel.attachment.interfaces))
    Serve.announce(semanticsLine(options))
    try await Serve.keepRunning(halves, signals, logger: logger)
  }

  static func readyLine(_ options: AttachOptions, interfaces: [String]) -> String {
    "apus: attached to \(options.address) (kernel mode: \(interfaces.joined(separator: ", ")))"
  }

  /// What holds for the answers that are kept.
  static func semanticsLine(_ options: AttachOptions) -> String {
    let ttl = options.ttl_s.map { "\($0) s" }
    if let root = options.root {
      let longest = ttl.map { ", at the longest \($0)" } ?? ""
      return "apus: files of \(root) are answered as the server would now, until they change\(longest)"
    }
    let others = ttl.map { "kept for \($0)" } ?? "not kept"
    return "apus: a shared cache (RFC 9111): answers are kept while fresh, with their Date and an Age; "
      + "those that do not say how long are \(others)"
  }

  /// Without a server nothing could be learned or handed over.
  private static func checkListener(_ endpoint: BackendEndpoint) throws {
    do throws(BackendConnection.Failure) {
      _ = try BackendConnection(endpoint, timeout_ms: Backend.Settings.timeout_ms)
    } catch {
      guard case .system(_, let error) = error else { throw ServeFailure("no server answers at \(endpoint)") }
      throw ServeFailure("no server to attach to at \(endpoint): \(String(cString: strerror(error)))")
    }
  }
}
