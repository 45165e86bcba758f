import Logging
import NIOCore
import Testing

@testable import ApusServer

@Suite("TCP relay")
struct TCPRelayTests {
  func withRelay(to backend: Int, _ body: (Int) async throws -> Void) async throws {
    var configuration = UserServerConfiguration()
    configuration.shutdownGrace_s = 1
    let relay = TCPRelay(
      backend: try SocketAddress(ipAddress: "127.0.0.1", port: backend), configuration: configuration,
      logger: Logger(label: "test"))
    do {
      let port = try await relay.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])[0].port!
      try await body(port)
    } catch {
      await relay.shutDown()
      throw error
    }
    await relay.shutDown()
  }

  @Test("bytes pass in both directions, large files and half-closes too")
  func relays() async throws {
    try await withServer { backend, directory, _ in
      let content = (0..<10_000_000).map { UInt8(truncatingIfNeeded: $0 >> 7) }
      try directory.write("large", content)
      try directory.write("f", "file")
      try await withRelay(to: backend) { port in
        let client = try RawClient(port: port, receiveBuffer: 65_536)
        #expect(try await client.exchange(get("/f")).body == Array("file".utf8))
        try await client.send(get("/large") + get("/f"))
        client.shutDownSending()
        #expect(try await client.response().body == content)
        #expect(try await client.response().body == Array("file".utf8))
        #expect(try await client.receiveAll().isEmpty)
      }
    }
  }

  @Test("without a backend the answer is 502 and the end")
  func badGateway() async throws {
    // A port that was free a moment ago.
    var port = 0
    try await withServer { own, _, _ in port = own }
    try await withRelay(to: port) { relay in
      let client = try RawClient(port: relay)
      let response = try await client.exchange(get("/f"))
      #expect(response.status == 502)
      #expect(response.field("Connection") == "close")
      #expect(try await client.receiveAll().isEmpty)
    }
  }
}
