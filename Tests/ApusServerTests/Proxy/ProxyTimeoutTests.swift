import Glibc
import Testing

@testable import ApusServer

/// What nginx's proxy_connect_timeout, proxy_read_timeout and their kin are to its users.
@Suite("Proxy: time")
struct ProxyTimeoutTests {
  /// How long 504 may take where a second is set: another one until it is looked at, and many for a
  /// machine that is busy with other tests; what is not set is a minute.
  private static let soon: ClosedRange<Duration> = .milliseconds(950)...Duration.seconds(40)

  private func upstream(at port: Int, host: String = "127.0.0.1") throws -> Upstream {
    try Upstream(UpstreamURL(isTLS: false, host: host, port: UInt16(port)), filesComeFirst: true)
  }

  private func timeouts(_ change: (inout ProxyTimeouts) -> Void) -> ProxyTimeouts {
    var timeouts = ProxyTimeouts()
    change(&timeouts)
    return timeouts
  }

  @Test(
    "an upstream that takes the request and says nothing, or stops in its head: 504, and the client's connection goes on",
    arguments: ["", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 103 Early Hints\r\n\r\n"])
  func silent(said: String) async throws {
    let silent = ScriptedUpstream { received, _ in received.hasSuffix("\r\n\r\n") ? .init(said) : nil }
    try await withProxy(to: try upstream(at: silent.port), timeouts: timeouts { $0.read_s = 1 }) { port, _ in
      let client = try RawClient(port: port)
      let clock = ContinuousClock()
      let start = clock.now
      #expect(try await client.exchange(get("/app")).status == 504)
      #expect(Self.soon.contains(clock.now - start), "\(clock.now - start)")
      #expect(text(try await client.exchange(get("/file")).body) == "from the directory")
      #expect(silent.received.count == 1, "nobody knows whether it was carried out, so it is not asked again")
    }
  }

  @Test("an upstream that stops in its body: the answer is broken off, with the client's connection")
  func stopsInBody() async throws {
    for framing in ["Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
      let stopping = ScriptedUpstream.answering(.init("HTTP/1.1 200 OK\r\n\(framing)"))
      try await withProxy(to: try upstream(at: stopping.port), timeouts: timeouts { $0.read_s = 1 }) { port, _ in
        let client = try RawClient(port: port)
        try await client.send(get("/app"))
        let answer = text(try await client.receiveAll())
        #expect(answer.contains("half") && !answer.contains("0\r\n\r\n"), "\(answer)")
      }
    }
  }

  @Test("an upstream that is slower than a second, but not than it may be, is waited for, whenever it is asked")
  func slow() async throws {
    let slow = ScriptedUpstream { received, _ in
      guard received.hasSuffix("\r\n\r\n") else { return nil }
      var reply = ScriptedUpstream.Reply.ok("slow")
      reply.delay_ms = 900
      return reply
    }
    try await withProxy(to: try upstream(at: slow.port), timeouts: timeouts { $0.read_s = 1 }) { port, _ in
      try await withThrowingTaskGroup(of: Int.self) { group in
        // Time is looked at once a second: one of these asks just before.
        for phase in 0..<5 {
          group.addTask {
            try await Task.sleep(for: .milliseconds(200 * phase))
            return try await RawClient(port: port).exchange(get("/app")).status
          }
        }
        for try await status in group { #expect(status == 200) }
      }
    }
  }

  @Test("an upstream that cannot be connected to in time: 504, by its address and by its name")
  func connecting() async throws {
    let full = try FullListener()
    for host in ["127.0.0.1", "localhost"] {
      let upstream = try upstream(at: full.port, host: host)
      try await withProxy(to: upstream, timeouts: timeouts { $0.connect_s = 1 }) { port, _ in
        let client = try RawClient(port: port)
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try await client.exchange(get("/app")).status == 504)
        #expect(Self.soon.contains(clock.now - start), "\(host): \(clock.now - start)")
        #expect(text(try await client.exchange(get("/file")).body) == "from the directory")
      }
    }
  }

  @Test("an upstream that does not read the request's body: 504; a client that does not send it: 408")
  func bodies() async throws {
    let (listener, endpoint) = TestServer.listen()
    defer { close(listener) }
    try await withProxy(to: try upstream(at: Int(endpoint.port)), timeouts: timeouts { $0.read_s = 1 }) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
      let piece = [UInt8](repeating: 0x61, count: 1_000_000)
      var idle = 0
      // Sends until nothing is taken any more, which is before an answer comes.
      while idle < 30 {
        idle = client.sendSome(piece) > 0 ? 0 : idle + 1
        if idle > 0 { try await Task.sleep(for: .milliseconds(10)) }
      }
      #expect(try await client.response().status == 504)
    }
    let waiting = ScriptedUpstream { _, _ in nil }
    try await withProxy(to: try upstream(at: waiting.port), timeouts: timeouts { $0.body_s = 1 }) { port, _ in
      let client = try RawClient(port: port)
      try await client.send("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
      #expect(try await client.response().status == 408)
      #expect(try await client.receiveAll().isEmpty, "what would follow cannot be told from the body")
    }
  }

  @Test("a WebSocket over which nothing passes ends; a kept connection nobody uses is closed")
  func idle() async throws {
    let socket = ScriptedUpstream.answering(
      .init("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
    try await withProxy(to: try upstream(at: socket.port), timeouts: timeouts { $0.tunnel_s = 1 }) { port, _ in
      let client = try RawClient(port: port)
      let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
      #expect(try await client.exchange(get("/socket", fields)).status == 101)
      #expect(try await client.receiveAll().isEmpty)
    }
    let kept = ScriptedUpstream.answering(.ok("kept"))
    try await withProxy(to: try upstream(at: kept.port), timeouts: timeouts { $0.idle_s = 4 }) { port, _ in
      let client = try RawClient(port: port)
      for _ in 0..<2 { #expect(try await client.exchange(get("/app")).status == 200) }
      #expect(kept.received.count == 1)
      try await Task.sleep(for: .seconds(7))
      #expect(try await client.exchange(get("/app")).status == 200)
      #expect(kept.received.count == 2)
    }
  }
}

/// A listening socket whose accept queue is full: further SYNs are dropped (tcp_conn_request), so connecting hangs.
private final class FullListener {
  let port: Int
  private let listener: CInt
  private var clients: [CInt] = []

  init() throws {
    let (listener, endpoint) = TestServer.listen()
    self.listener = listener
    port = Int(endpoint.port)
    // Room for one (sk_acceptq_is_full); a few more, of which each may find room before the queue is seen full.
    guard Glibc.listen(listener, 0) == 0 else { throw RawClient.Failure(call: "listen") }
    for _ in 0..<4 {
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      clients.append(client)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = endpoint.port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    usleep(50_000)
  }

  deinit { for descriptor in clients + [listener] { close(descriptor) } }
}
