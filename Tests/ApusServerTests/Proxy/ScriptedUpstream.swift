import Glibc
import Synchronization

@testable import ApusServer

/// A server of one test on loopback that keeps every byte it is sent and answers as a closure says. Each connection has
/// a thread of its own.
final class ScriptedUpstream: Sendable {
  struct Reply {
    var bytes: [UInt8]
    var closes = false
    /// The connection ends by a RST.
    var resets = false
    /// Before it is sent.
    var delay_ms: UInt32 = 0

    init(_ text: String, closes: Bool = false, resets: Bool = false, delay_ms: UInt32 = 0) {
      bytes = Array(text.utf8)
      self.closes = closes
      self.resets = resets
      self.delay_ms = delay_ms
    }

    static func ok(_ body: String, _ fields: String = "") -> Reply {
      Reply("HTTP/1.1 200 OK\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
  }

  let port: Int
  private let listener: CInt
  private let accepting: DedicatedThread
  private let state: State

  private final class State: Sendable {
    let received = Mutex<[[UInt8]]>([])
    let threads = Mutex<[DedicatedThread]>([])
    let connections = Mutex<[CInt]>([])
    let sent = Atomic<Int>(0)
  }

  /// - Parameter respond: called with what has come on a connection since the last reply; `nil`: waits for more.
  init(_ respond: @escaping @Sendable (_ received: String, _ connection: Int) -> Reply?) {
    let (listener, endpoint) = TestServer.listen()
    self.listener = listener
    port = Int(endpoint.port)
    let state = State()
    self.state = state
    accepting = DedicatedThread(name: "test-upstream") {
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0 { return }
        let number = state.received.withLock { received in
          received.append([])
          return received.count - 1
        }
        state.connections.withLock { $0.append(connection) }
        let thread = DedicatedThread(name: "test-upstream") { Self.serve(connection, number, state, respond) }
        state.threads.withLock { $0.append(thread) }
      }
    }
  }

  deinit {
    shutdown(listener, CInt(SHUT_RDWR))
    accepting.join()
    close(listener)
    state.connections.withLock { for connection in $0 { shutdown(connection, CInt(SHUT_RDWR)) } }
    for thread in state.threads.withLock({ $0 }) { thread.join() }
    state.connections.withLock { for connection in $0 { close(connection) } }
  }

  private static func serve(
    _ connection: CInt, _ number: Int, _ state: State, _ respond: (String, Int) -> Reply?
  ) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var pending: [UInt8] = []
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return }
      state.received.withLock { $0[number] += buffer[..<count] }
      pending += buffer[..<count]
      guard let reply = respond(String(decoding: pending, as: UTF8.self), number) else { continue }
      pending = []
      usleep(reply.delay_ms * 1000)
      var sent = 0
      while sent < reply.bytes.count {
        let rest = reply.bytes.count - sent
        let result = reply.bytes.withUnsafeBytes { send(connection, $0.baseAddress! + sent, rest, CInt(MSG_NOSIGNAL)) }
        if result <= 0 { return }
        sent += result
        state.sent.wrappingAdd(result, ordering: .relaxed)
      }
      if reply.resets {
        // connect(2) to AF_UNSPEC: tcp_disconnect sends a RST, and the descriptor stays one of ours.
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        usleep(100_000)
        connect(connection, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
        return
      }
      if reply.closes {
        shutdown(connection, CInt(SHUT_RDWR))
        return
      }
    }
  }

  /// What came on each connection, in the order of their beginnings.
  var received: [String] { state.received.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }
  /// Bytes its sockets have taken.
  var sentBytes: Int { state.sent.load(ordering: .relaxed) }
  var receivedBytes: [[UInt8]] { state.received.withLock { $0 } }

  /// Answers requests without a body.
  static func answering(_ reply: Reply) -> ScriptedUpstream {
    ScriptedUpstream { received, _ in received.hasSuffix("\r\n\r\n") ? reply : nil }
  }
}
