import Glibc
import Logging
import NIOCore
import ServiceLifecycle

/// `apus serve`: puts the halves together and runs them.
public enum Serve {
  /// Serves until SIGTERM or SIGINT, and then stops cleanly. Prints one line on standard output as soon as requests are
  /// answered.
  ///
  /// Throws a `ServeFailure`, or another error that describes itself, if it cannot begin.
  ///
  /// - Parameter reload: the options as they are now, wherever they come from; asked for on SIGHUP and by
  ///   `apus reload`. Throws an error that describes itself.
  public static func run(_ options: ServeOptions, reload: @escaping @Sendable () throws -> ServeOptions) async throws {
    // A client that has gone away is an error of write(2), not the end of the server.
    signal(SIGPIPE, SIG_IGN)
    let logger = Logger(label: "apus")
    let service = try PreparedService(options, logger: logger)
    let accessLog = try options.accessLog.map { try AccessLog($0, logger: logger) }
    let halves = try await begin(options, service, accessLog: accessLog, logger: logger)
    let daemon = Daemon(options: options, halves, logger: logger, reload: reload)
    let admin: AdminServer
    do {
      admin = try AdminServer(
        path: try options.adminPath ?? AdminSocket.defaultPath(), handler: daemon, logger: logger)
    } catch {
      halves.kernel?.stop()
      await halves.front.shutDown()
      throw error
    }
    admin.start()
    defer { admin.stop() }
    let signals = await DaemonSignals(daemon, reloads: true)
    announce(daemon.readyLine)
    try await keepRunning(halves, signals, logger: logger)
  }

  /// Both halves, answering.
  private static func begin(
    _ options: ServeOptions, _ service: PreparedService, accessLog: AccessLog?, logger: Logger
  ) async throws -> Halves {
    let (kernel, reason) = try kernelHalf(options, service, logger: logger)
    let front = try await userHalf(options, service, kernel: kernel != nil, accessLog: accessLog, logger: logger)
    do {
      accessLog?.start(kernel: kernel?.part)
      try kernel?.start()
      return Halves(front: front, kernel: kernel, userModeReason: reason, accessLog: accessLog)
    } catch {
      await front.shutDown()
      let reason = try userModeReason(options, error)
      let front = try await userHalf(options, service, kernel: false, accessLog: accessLog, logger: logger)
      return Halves(front: front, kernel: nil, userModeReason: reason, accessLog: accessLog)
    }
  }

  /// Until SIGTERM or SIGINT. Stopped from the last to the first: the kernel part hands over to the user half until it
  /// is detached, and the access log ends when nobody has anything to tell it.
  static func keepRunning(_ halves: Halves, _ signals: DaemonSignals, logger: Logger) async throws {
    var services: [any Service] = []
    if let accessLog = halves.accessLog { services.append(accessLog) }
    services += [signals, halves.front.service]
    if let kernel = halves.kernel { services.append(kernel) }
    let group = ServiceGroup(
      configuration: .init(
        services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }

  /// The kernel half if there is to be one, or the reason why there is none.
  private static func kernelHalf(
    _ options: ServeOptions, _ service: PreparedService, logger: Logger
  ) throws -> (kernel: KernelHalf?, reason: String) {
    guard options.mode != .user else { return (nil, "as asked for") }
    do {
      return (try KernelHalf(options, origin: service.origin, logger: logger), "")
    } catch {
      return (nil, try userModeReason(options, error))
    }
  }

  /// Why it is user mode after all, unless that is not what was asked for.
  private static func userModeReason(_ options: ServeOptions, _ error: any Error) throws -> String {
    if options.mode == .kernel { throw ServeFailure("kernel mode is impossible: \(error)") }
    return "\(error)"
  }

  /// What answers in user mode, listening: the built-in server, which passes on what is another server's to answer. In
  /// kernel mode with a server behind only it listens, but for TLS, and the port must be nobody else's.
  private static func userHalf(
    _ options: ServeOptions, _ service: PreparedService, kernel: Bool, accessLog: AccessLog?, logger: Logger
  ) async throws -> Front {
    let addresses = try socketAddresses(options.listen)
    let plainIsElsewhere = kernel && options.backend != nil
    if plainIsElsewhere {
      let probe = service.makeServer(logger: logger)
      _ = try await binding {
        try await probe.bind(addresses)
      } orElse: {
        await probe.shutDown()
      }
      await probe.shutDown()
      if options.tls == nil { return .none }
    }
    let server = service.makeServer(accessLog: accessLog, logger: logger)
    try await binding {
      if !plainIsElsewhere { _ = try await server.bind(addresses) }
      if let tls = service.tls { _ = try await server.bind(try socketAddresses(options.tls?.listen ?? []), tls: tls) }
    } orElse: {
      await server.shutDown()
    }
    return .server(server)
  }

  private static func socketAddresses(_ addresses: [ListenAddress]) throws -> [SocketAddress] {
    try addresses.map { try SocketAddress(ipAddress: $0.host, port: Int($0.port)) }
  }

  private static func binding<Result>(
    _ bind: () async throws -> Result, orElse cleanUp: () async -> Void
  ) async throws -> Result {
    do {
      return try await bind()
    } catch {
      await cleanUp()
      throw error
    }
  }

  static func announce(_ line: String) {
    // Not print(): the line must be out at once, also into a pipe.
    let bytes = Array("\(line)\n".utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
  }
}

/// What `apus serve` is made of.
struct Halves: Sendable {
  let front: Front
  let kernel: KernelHalf?
  /// Why there is no kernel half.
  let userModeReason: String
  let accessLog: AccessLog?
}

/// What answers in user mode.
enum Front: Sendable {
  case server(UserServer)
  /// The server behind is somebody else.
  case none

  var service: any Service {
    switch self {
    case .server(let server): server
    case .none: Idle()
    }
  }

  func shutDown() async {
    switch self {
    case .server(let server): await server.shutDown()
    case .none: break
    }
  }

  var status: UserServerStatus? {
    switch self {
    case .server(let server): UserServerStatus(connections: server.connections, requests: server.requests)
    case .none: nil
    }
  }

  private struct Idle: Service {
    func run() async throws { try await gracefulShutdown() }
  }
}
