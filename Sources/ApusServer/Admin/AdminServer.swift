import Glibc
import Logging
import Synchronization

/// Carries out what comes in at the admin socket. Called on the admin thread, one request at a time.
public protocol AdminHandler: Sendable {
  func status() throws -> ServerStatus
  /// - Returns: the number of objects removed.
  func purge(_ what: Purge) throws -> Int
  /// Takes the configuration as it is now, or throws and changes nothing.
  func reload() throws
}

/// The admin socket of a running Apus: a Unix stream socket only its owner may use, that takes one line of JSON a
/// connection (`AdminRequest`) and answers with one. A thread of its own serves it, so that nobody who asks, or stops
/// asking in the middle, can hold up the server.
public final class AdminServer: Sendable {
  private let listener: AdminListener
  private let wake: UnixSocket.Pair
  private let handler: any AdminHandler
  private let logger: Logger
  private let state = Mutex(State.bound)

  private enum State {
    case bound
    case running(DedicatedThread)
    case stopped
  }

  public var path: String { listener.path }

  /// Binds and listens; what comes in waits for `start`. Throws `AdminFailure`.
  public init(path: String, handler: any AdminHandler, logger: Logger) throws {
    wake = try UnixSocket.makePair()
    listener = try AdminListener(path: path)
    self.handler = handler
    self.logger = logger
  }

  deinit { stop() }

  /// Begins to answer. Does nothing the second time.
  public func start() {
    state.withLock { state in
      guard case .bound = state else { return }
      // The thread must not keep the server alive, or `deinit` would never come.
      let (listener, wake, handler, logger) = (listener, wake, handler, logger)
      state = .running(
        DedicatedThread(name: "apus-admin") {
          var loop = AdminLoop(listener: listener.descriptor, wake: wake.other, handler: handler, logger: logger)
          loop.run()
        })
    }
  }

  /// Removes the socket and waits for the thread. Does nothing the second time. Not to be called by the handler.
  public func stop() {
    let previous = state.withLock { state in
      defer { state = .stopped }
      return state
    }
    if case .stopped = previous { return }
    listener.remove()
    if case .running(let thread) = previous {
      // The other end of the pair becomes readable.
      shutdown(wake.one.number, Int32(SHUT_RDWR))
      thread.join()
    }
  }
}

/// The admin thread: waits for the listener and all connections at once.
private struct AdminLoop {
  let listener: Descriptor
  let wake: Descriptor
  let handler: any AdminHandler
  let logger: Logger
  private var connections: [AdminConnection] = []
  private var acceptFrom_ns: UInt64 = 0

  init(listener: Descriptor, wake: Descriptor, handler: any AdminHandler, logger: Logger) {
    self.listener = listener
    self.wake = wake
    self.handler = handler
    self.logger = logger
  }

  mutating func run() {
    while true {
      let now_ns = MonotonicClock.now_ns()
      let accepts = connections.count < AdminLimits.connectionsMax && now_ns >= acceptFrom_ns
      // A negative descriptor is passed over by poll(2).
      var waits = [
        pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: accepts ? listener.number : -1, events: Int16(POLLIN), revents: 0),
      ]
      waits += connections.map { pollfd(fd: $0.descriptor.number, events: $0.awaited, revents: 0) }
      guard poll(&waits, nfds_t(waits.count), timeout_ms(from: now_ns)) >= 0 || errno == EINTR else {
        logger.error("the admin socket is out of order: poll: \(String(cString: strerror(errno)))")
        return
      }
      if waits[0].revents != 0 { return }
      serve(ready: waits.dropFirst(2).map { $0.revents != 0 })
      if waits[1].revents != 0 { accept() }
    }
  }

  /// Until the first connection's time is over, or accepting goes on; -1: for ever.
  private func timeout_ms(from now_ns: UInt64) -> Int32 {
    var ends = connections.map(\.end_ns)
    if acceptFrom_ns > now_ns { ends.append(acceptFrom_ns) }
    guard let end_ns = ends.min() else { return -1 }
    return end_ns <= now_ns ? 0 : Int32((end_ns - now_ns) / 1_000_000 + 1)
  }

  private mutating func serve(ready: [Bool]) {
    let now_ns = MonotonicClock.now_ns()
    for (index, isReady) in ready.enumerated() where isReady { connections[index].proceed(answer) }
    connections.removeAll { $0.isOver || $0.end_ns <= now_ns }
  }

  private mutating func accept() {
    let number = Glibc.accept(listener.number, nil, nil)
    let now_ns = MonotonicClock.now_ns()
    if number >= 0 {
      _ = fcntl(number, F_SETFD, FD_CLOEXEC)
      connections.append(
        AdminConnection(
          descriptor: Descriptor(owning: number), end_ns: now_ns + UInt64(AdminLimits.exchange_ms) * 1_000_000))
    } else if ![EAGAIN, EINTR, ECONNABORTED].contains(errno) {
      logger.warning("admin socket: accept: \(String(cString: strerror(errno)))")
      acceptFrom_ns = now_ns + UInt64(AdminLimits.acceptPause_ms) * 1_000_000
    }
  }

  /// The line to answer a line with.
  private func answer(_ line: [UInt8]?) -> [UInt8] {
    var answer = AdminAnswer()
    do {
      guard let line else {
        throw AdminFailure("a request is one line of at most \(AdminLimits.requestBytesMax) bytes")
      }
      switch try decode(line) {
      case .status: answer.status = try handler.status()
      case .purge(let what): answer.purged = try handler.purge(what)
      case .reload:
        try handler.reload()
        answer.reloaded = true
      }
    } catch {
      answer.error = "\(error)"
    }
    // Nothing in an answer can fail to be encoded: strings and integers.
    return (try? AdminCoding.line(answer)) ?? Array("{\"error\":\"no answer\"}\n".utf8)
  }

  private func decode(_ line: [UInt8]) throws -> AdminRequest {
    do {
      return try AdminCoding.decode(AdminRequest.self, from: line)
    } catch let failure as AdminFailure {
      throw failure
    } catch {
      throw AdminFailure("this is no request; one is {\"command\":\"status\"}")
    }
  }
}

/// One exchange: a request is read, then an answer written.
private struct AdminConnection {
  let descriptor: Descriptor
  let end_ns: UInt64
  private var request: [UInt8] = []
  private var answer: ArraySlice<UInt8>?
  private(set) var isOver = false

  init(descriptor: Descriptor, end_ns: UInt64) {
    self.descriptor = descriptor
    self.end_ns = end_ns
  }

  /// Events of poll(2) to wait for.
  var awaited: Int16 { Int16(answer == nil ? POLLIN : POLLOUT) }

  /// Goes as far as is possible without waiting.
  ///
  /// - Parameter respond: makes the answer to a line; nil stands for what is no line.
  mutating func proceed(_ respond: ([UInt8]?) -> [UInt8]) {
    if answer == nil { read(respond) }
    if answer != nil { write() }
  }

  private mutating func read(_ respond: ([UInt8]?) -> [UInt8]) {
    while answer == nil {
      var failure: Int32 = 0
      let piece = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
        let result = recv(descriptor.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        if result < 0 { failure = errno }
        count = max(result, 0)
      }
      if failure == EINTR { continue }
      if failure == EAGAIN { return }
      if failure != 0 || piece.isEmpty && request.isEmpty {
        isOver = true
        return
      }
      request += piece
      let line = request.prefix(AdminLimits.requestBytesMax).firstIndex(of: UInt8(ascii: "\n"))
      if let line {
        answer = respond(Array(request[..<line]))[...]
      } else if piece.isEmpty || request.count >= AdminLimits.requestBytesMax {
        answer = respond(nil)[...]
      }
    }
  }

  private mutating func write() {
    while let rest = answer, !rest.isEmpty {
      let result = rest.withUnsafeBytes {
        send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
      }
      if result < 0, errno == EINTR { continue }
      if result < 0, errno == EAGAIN { return }
      guard result > 0 else { break }
      answer = rest.dropFirst(result)
    }
    isOver = true
  }
}
