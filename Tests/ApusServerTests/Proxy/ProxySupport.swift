import Glibc
import Logging
import NIOCore

@testable import ApusServer

/// A server before an upstream at a port of 127.0.0.1, on a loopback port of its own, over a temporary directory with the file `/file`.
func withProxy(
  to upstreamPort: Int, filesComeFirst: Bool = true,
  _ body: (_ port: Int, _ directory: TemporaryDirectory) async throws -> Void
) async throws {
  let url = UpstreamURL(isTLS: false, host: "127.0.0.1", port: UInt16(upstreamPort))
  try await withProxy(to: try Upstream(url, filesComeFirst: filesComeFirst), body)
}

func withProxy(
  to upstream: Upstream, timeouts: ProxyTimeouts = ProxyTimeouts(),
  _ body: (_ port: Int, _ directory: TemporaryDirectory) async throws -> Void
) async throws {
  let directory = try TemporaryDirectory()
  try directory.write("file", "from the directory")
  var configuration = UserServerConfiguration()
  configuration.shutdownGrace_s = 1
  configuration.proxy = timeouts
  let server = UserServer(
    root: try DocumentRoot(path: directory.path), configuration: configuration, upstream: upstream,
    logger: Logger(label: "test"))
  do {
    let bound = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])
    try await body(bound[0].port!, directory)
  } catch {
    await server.shutDown()
    throw error
  }
  await server.shutDown()
}

/// A port of loopback nobody listens at.
func unusedPort() -> Int {
  let (listener, endpoint) = TestServer.listen()
  close(listener)
  return Int(endpoint.port)
}

/// What the parser and the proxy make of a request without an upstream.
func forwarded(_ text: String, from client: String = "192.0.2.7", isTLS: Bool = false) throws -> String {
  var parser = RequestParser(leavesBodies: true)
  let bytes = Array(text.utf8)
  let head = try bytes.withUnsafeBytes { bytes in
    switch parser.parse(bytes) {
    case .request(let head, let length):
      try ProxyRequest(
        bytes, length: length, head: head,
        origin: ProxyRequest.Origin(clientAddress: client, isTLS: isTLS, version: head.is11 ? "1.1" : "1.0")
      ).head(upstream: UpstreamURL(isTLS: false, host: "app.test", port: 3000))
    case .failed(let error): throw error
    case .incomplete: throw RequestError(.badRequest, "incomplete")
    }
  }
  return String(buffer: head)
}
