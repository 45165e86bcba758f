import Logging
import NIOCore
import ServiceLifecycle
import Testing

@testable import ApusServer

@Suite("User server: time and shutdown")
struct UserServerLifeTests {
  @Test("a head that does not end is answered 408, an idle connection is closed, a stalled one too")
  func timeouts() async throws {
    let configure = { (configuration: inout UserServerConfiguration) in
      configuration.headTimeout_s = 1
      configuration.idleTimeout_s = 1
      configuration.writeStallTimeout_s = 2
    }
    try await withServer(configure) { port, directory, server in
      try directory.write("f", "file")
      try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
      let partial = try RawClient(port: port)
      try await partial.send("GET / HTTP/1.1\r\n")
      let idle = try RawClient(port: port)
      #expect(try await idle.exchange(get("/f")).status == 200)
      let silent = try RawClient(port: port)
      let stalled = try RawClient(port: port, receiveBuffer: 4096)
      try await stalled.send(get("/large"))
      #expect(try await partial.response().status == 408)
      #expect(try await partial.receiveAll().isEmpty)
      #expect(try await idle.receiveAll().isEmpty)
      #expect(try await silent.receiveAll().isEmpty)
      try await Task.sleep(for: .seconds(4))
      #expect(try await stalled.receiveAll().count < 20_000_000)
      #expect(server.connections == 0)
    }
  }

  @Test("graceful shutdown: idle connections end at once, busy ones after their answer, new ones are refused")
  func shutdown() async throws {
    let directory = try TemporaryDirectory()
    try directory.write("f", "file")
    try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
    var configuration = UserServerConfiguration()
    configuration.shutdownGrace_s = 300
    let logger = Logger(label: "test")
    let server = UserServer(
      root: try DocumentRoot(path: directory.path), configuration: configuration, logger: logger)
    let port = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])[0].port!
    let (started, start) = AsyncStream.makeStream(of: Never.self)
    let services = ServiceGroup(services: [server, StartSignal(continuation: start)], logger: logger)
    let running = Task { try await services.run() }
    // A group that is shut down before it runs never runs its services.
    for await _ in started {}
    let idle = try RawClient(port: port)
    #expect(try await idle.exchange(get("/f")).status == 200)
    let busy = try RawClient(port: port, receiveBuffer: 16_384)
    try await busy.send(get("/large") + get("/f"))
    try await busy.receive(1000)
    await services.triggerGracefulShutdown()
    #expect(try await idle.receiveAll().isEmpty)
    // Idle connections end first; a moment later nobody listens. Waiting must not hold up the thread that closes.
    var isRefused = false
    for _ in 0..<600 where !isRefused {
      isRefused = (try? RawClient(port: port)) == nil
      if !isRefused { try await Task.sleep(for: .milliseconds(50)) }
    }
    #expect(isRefused)
    #expect(try await busy.response().body.count == 20_000_000)
    #expect(try await busy.response().field("Connection") == "close")
    #expect(try await busy.receiveAll().isEmpty)
    let clock = ContinuousClock()
    let end = clock.now
    try await running.value
    #expect(clock.now - end < .seconds(200), "the grace need not be waited for")
  }

  @Test("shutdown closes what is still busy after the grace")
  func grace() async throws {
    let clock = ContinuousClock()
    var start = clock.now
    try await withServer { port, directory, _ in
      try directory.write("large", [UInt8](repeating: 1, count: 20_000_000))
      let busy = try RawClient(port: port, receiveBuffer: 16_384)
      try await busy.send(get("/large"))
      try await busy.receive(1000)
      start = clock.now
      // The server is shut down while this client does not read.
      withExtendedLifetime(busy) {}
    }
    // Long before the client would be taken for stalled.
    #expect(clock.now - start < .seconds(20))
  }

  @Test("an address in use is said to be")
  func addressInUse() async throws {
    try await withServer { port, directory, _ in
      let other = UserServer(root: try DocumentRoot(path: directory.path), logger: Logger(label: "test"))
      let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
      do {
        _ = try await other.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0), address])
        Issue.record("bound twice")
      } catch {
        #expect("\(error)" == "cannot listen on 127.0.0.1:\(port): address already in use")
      }
      await other.shutDown()
    }
  }

  @Test("beyond the limit connections wait, and come in when others end")
  func limit() async throws {
    try await withServer {
      $0.connectionsMax = 4
    } _: { port, directory, server in
      try directory.write("f", "file")
      var clients: [RawClient] = []
      // One wake accepts up to acceptsPerWake connections, so they come one after the other.
      for _ in 0..<4 {
        let client = try RawClient(port: port)
        #expect(try await client.exchange(get("/f")).status == 200)
        clients.append(client)
      }
      let waiting = try RawClient(port: port)
      try await waiting.send(get("/f"))
      try await Task.sleep(for: .milliseconds(200))
      let before = server.requests
      clients.removeFirst()
      #expect(try await waiting.response().status == 200)
      #expect(before <= 5)
    }
  }

  @Test("at the limit idle connections make room, those that have asked stay")
  func limitAndIdle() async throws {
    try await withServer {
      $0.connectionsMax = 4
    } _: { port, directory, _ in
      try directory.write("f", "file")
      var idle: [RawClient] = []
      for _ in 0..<3 {
        let client = try RawClient(port: port)
        #expect(try await client.exchange(get("/f")).status == 200)
        idle.append(client)
      }
      // Half of a request: not idle.
      let asking = try RawClient(port: port)
      try await asking.send("GET /f HTTP/1.1\r\nHo")
      // Each comes in long before the others' idle timeout ends.
      for _ in 0..<3 {
        let newcomer = try RawClient(port: port)
        #expect(try await newcomer.exchange(get("/f")).status == 200)
        idle.append(newcomer)
      }
      try await asking.send("st: a\r\n\r\n")
      #expect(try await asking.response().status == 200)
    }
  }
}

/// Says that the group it is in runs.
private struct StartSignal: Service {
  let continuation: AsyncStream<Never>.Continuation

  func run() async throws {
    continuation.finish()
    try await gracefulShutdown()
  }
}
