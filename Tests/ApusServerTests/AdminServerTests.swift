import FoundationEssentials
import Glibc
import Logging
import Synchronization
import Testing

@testable import ApusServer

/// Remembers what it was asked.
private final class Recorder: AdminHandler {
  let purges = Mutex<[Purge]>([])

  func status() -> ServerStatus {
    ServerStatus(mode: .user, reason: "of the test", listen: ["127.0.0.1:1"], directory: "/d", uptime_s: 3)
  }

  func purge(_ what: Purge) throws -> Int {
    if what == .path("/fails") { throw AdminFailure("it failed") }
    return purges.withLock {
      $0.append(what)
      return $0.count
    }
  }

  func reload() throws {
    throw AdminFailure("apus.yaml:3: no")
  }
}

@Suite struct AdminServerTests {
  private let directory: TemporaryDirectory
  private let recorder = Recorder()
  private let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/admin.sock"
  }

  private func server() throws -> AdminServer {
    try AdminServer(path: path, handler: recorder, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func started() throws -> AdminServer {
    let server = try server()
    server.start()
    return server
  }

  private func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// A connection that sends what the test says.
  private func connect() throws -> Descriptor {
    let descriptor = try UnixSocket.make(nonBlocking: false)
    let result = try UnixSocket.withAddress(of: path) { Glibc.connect(descriptor.number, $0, $1) }
    try #require(result == 0)
    var time = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor.number, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    return descriptor
  }

  private func send(_ text: String, to descriptor: Descriptor) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let result = bytes.withUnsafeBytes {
        Glibc.send(descriptor.number, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if result <= 0 { return }
      sent += result
    }
  }

  /// All until the other side closes; nil if it does not.
  private func receiveAll(from descriptor: Descriptor) -> String? {
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor.number, &piece, piece.count, 0)
      // A side that closes with bytes unread resets; what it said before has arrived.
      if count == 0 || count < 0 && errno == ECONNRESET { return String(decoding: all, as: UTF8.self) }
      if count < 0 { return nil }
      all += piece[..<count]
    }
  }

  private func exchange(_ text: String) throws -> String? {
    let connection = try connect()
    send(text, to: connection)
    return receiveAll(from: connection)
  }

  // MARK: Exchange

  @Test func `status and purge reach the handler, and its answers the client`() throws {
    let server = try started()
    let client = AdminClient(path: path)
    #expect(try client.status() == recorder.status())
    #expect(try client.purge(.path("/a b")) == 1)
    #expect(try client.purge(.prefix("/c/")) == 2)
    #expect(try client.purge(.all) == 3)
    #expect(recorder.purges.withLock { $0 } == [.path("/a b"), .prefix("/c/"), .all])
    server.stop()
  }

  @Test func `an error of the handler is the client's, in the same words`() throws {
    let server = try started()
    #expect(throws: AdminFailure("it failed")) { try AdminClient(path: path).purge(.path("/fails")) }
    #expect(try AdminClient(path: path).status().mode == .user)
    server.stop()
  }

  @Test(arguments: [
    "\n", "GET / HTTP/1.1\r\n\r\n", "{\"command\":\"statu\"}\n", "\u{0}\u{1}\n", "{\"command\":\"status\"}",
  ])
  func `garbage is answered with an error, and the next one is served`(text: String) throws {
    let server = try started()
    let connection = try connect()
    send(text, to: connection)
    shutdown(connection.number, Int32(SHUT_WR))
    let answer = try #require(receiveAll(from: connection))
    #expect(answer.hasPrefix("{\"error\":\""))
    #expect(answer.hasSuffix("\n"))
    #expect(try AdminClient(path: path).status().mode == .user)
    server.stop()
  }

  @Test func `a line is as long as the limit at most`() throws {
    let server = try started()
    func request(bytes: Int) -> String {
      let frame = "{\"command\":\"purge\",\"path\":\"\"}\n"
      return frame.replacing("\"\"", with: "\"" + String(repeating: "x", count: bytes - frame.utf8.count) + "\"")
    }
    let limit = AdminLimits.requestBytesMax
    #expect(try exchange(request(bytes: limit)) == "{\"purged\":1}\n")
    #expect(try exchange(request(bytes: limit + 1))?.hasPrefix("{\"error\":") == true)
    #expect(try exchange(String(repeating: "x", count: 1 << 20))?.hasPrefix("{\"error\":") == true)
    #expect(recorder.purges.withLock { $0.count } == 1)
    server.stop()
  }

  @Test func `a request may come byte by byte, and what follows it is ignored`() throws {
    let server = try started()
    let connection = try connect()
    for character in "{\"command\":\"purge\",\"all\":true}" { send(String(character), to: connection) }
    send("\n{\"command\":\"purge\",\"all\":true}\n", to: connection)
    #expect(receiveAll(from: connection) == "{\"purged\":1}\n")
    server.stop()
  }

  @Test func `who is silent holds up nobody, and is let go in the end`() throws {
    let server = try started()
    let silent = try (1..<AdminLimits.connectionsMax).map { _ in try connect() }
    for connection in silent { send("{\"comm", to: connection) }
    let begin_ns = MonotonicClock.now_ns()
    #expect(try AdminClient(path: path).status().mode == .user)
    #expect(MonotonicClock.now_ns() - begin_ns < UInt64(AdminLimits.exchange_ms) * 1_000_000 / 2)
    for connection in silent { #expect(receiveAll(from: connection) == "") }
    server.stop()
  }

  @Test func `more than the limit at a time wait, and are served`() throws {
    let server = try started()
    let silent = try (0..<AdminLimits.connectionsMax + 2).map { _ in try connect() }
    let waiting = try connect()
    send("{\"command\":\"purge\",\"all\":true}\n", to: waiting)
    withExtendedLifetime(silent) { #expect(receiveAll(from: waiting) == "{\"purged\":1}\n") }
    server.stop()
  }

  @Test func `a stop does not wait for those who are silent`() throws {
    let server = try started()
    let silent = try connect()
    #expect(try AdminClient(path: path).status().mode == .user)
    let begin_ns = MonotonicClock.now_ns()
    server.stop()
    server.stop()
    #expect(MonotonicClock.now_ns() - begin_ns < UInt64(AdminLimits.exchange_ms) * 1_000_000 / 2)
    #expect(receiveAll(from: silent) == "")
    #expect(!exists(path))
  }

  @Test func `a server that is let go ends its thread and removes its socket`() throws {
    do { _ = try started() }
    #expect(!exists(path))
    do { _ = try server() }
    #expect(!exists(path))
  }

  // MARK: The socket in the file system

  @Test func `only the owner may connect, whatever the umask`() throws {
    let server = try started()
    var status = stat()
    try #require(lstat(path, &status) == 0)
    #expect(status.st_mode & S_IFMT == S_IFSOCK)
    #expect(status.st_mode & 0o777 == 0o600)
    server.stop()
  }

  /// Bound, and closed without its file being removed, as by a kill.
  private func leaveDeadSocket() throws {
    let dead = try UnixSocket.make(nonBlocking: true)
    try #require(try UnixSocket.withAddress(of: path) { bind(dead.number, $0, $1) } == 0)
    try #require(listen(dead.number, 1) == 0)
  }

  @Test func `the socket of a daemon that died is replaced`() throws {
    try leaveDeadSocket()
    #expect(throws: AdminFailure("no apus is running: no answer at \(path)")) { try AdminClient(path: path).status() }
    let server = try started()
    #expect(try AdminClient(path: path).status().mode == .user)
    server.stop()
  }

  @Test func `two daemons do not share a socket, and the first keeps it`() throws {
    let server = try started()
    let failure = #expect(throws: AdminFailure.self) { try self.server() }
    #expect(failure?.description.hasPrefix("another apus uses \(path)") == true)
    #expect(try AdminClient(path: path).status().mode == .user)
    server.stop()
    let next = try started()
    #expect(try AdminClient(path: path).status().mode == .user)
    next.stop()
  }

  @Test func `of many daemons that start at once, where one died, one gets the socket`() throws {
    let count = 4
    for _ in 0..<10 {
      try leaveDeadSocket()
      let servers = Mutex<[AdminServer]>([])
      let ready = Atomic<Int>(0)
      let threads = (0..<count).map { _ in
        DedicatedThread(name: "starts") {
          // All at the same moment, or there is no race to be lost.
          ready.add(1, ordering: .relaxed)
          while ready.load(ordering: .relaxed) < count {}
          if let server = try? self.server() { servers.withLock { $0.append(server) } }
        }
      }
      for thread in threads { thread.join() }
      let winners = servers.withLock { $0 }
      #expect(winners.count == 1)
      for server in winners { server.start() }
      #expect(try AdminClient(path: path).status().mode == .user)
      for server in winners { server.stop() }
    }
  }

  @Test func `who replaces a dead socket waits for others that are about to, but not for ever`() throws {
    try leaveDeadSocket()
    do {
      let directory = Descriptor(owning: open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
      // Even a shared lock keeps away one that wants the directory for itself.
      try #require(flock(directory.number, LOCK_SH) == 0)
      let failure = #expect(throws: AdminFailure.self) { try self.server() }
      #expect(failure?.description.contains("locked by another process") == true)
      #expect(exists(path), "the file is as it was")
    }
    let server = try started()
    #expect(try AdminClient(path: path).status().mode == .user)
    server.stop()
  }

  @Test func `a file that is no socket is left alone`() throws {
    try directory.write("admin.sock", "precious")
    let failure = #expect(throws: AdminFailure.self) { try server() }
    #expect(failure?.description.contains("is no socket") == true)
    #expect(exists(path))
  }

  @Test func `a stop leaves alone what has taken the place of its socket`() throws {
    let server = try started()
    try directory.move("admin.sock", to: "moved")
    try directory.write("admin.sock", "precious")
    server.stop()
    #expect(exists(path))
  }

  @Test func `a path that no socket can have is an error that says so`() throws {
    for path in [directory.path + "/" + String(repeating: "x", count: 100), ""] {
      let failure = #expect(throws: AdminFailure.self) {
        try AdminServer(path: path, handler: recorder, logger: Logger(label: "test"))
      }
      #expect(failure?.description.hasPrefix("'\(path)' cannot be the path of a socket") == true)
    }
    let failure = #expect(throws: AdminFailure.self) {
      try AdminServer(path: directory.path + "/none/a.sock", handler: recorder, logger: Logger(label: "test"))
    }
    #expect(failure?.description.contains("No such file or directory") == true)
  }
}
