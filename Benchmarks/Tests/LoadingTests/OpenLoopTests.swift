import Dispatch
import Glibc
import Measuring
import Testing

@testable import Loading

/// Against a server of a thread's, on loopback, that takes its time for each answer.
@Suite(.serialized) struct OpenLoopTests {
  /// Serves one connection, and answers each request after so many microseconds.
  private final class SlowServer: Sendable {
    let descriptor: Int32
    let address: sockaddr_in
    private let delay_us: UInt32

    init(delay_us: UInt32) throws {
      self.delay_us = delay_us
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let listener = descriptor
      let code = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
          bind(listener, address, length) == 0 && listen(listener, 16) == 0
            ? getsockname(listener, address, &length) : -1
        }
      }
      self.address = address
      try #require(code == 0)
    }

    deinit { close(descriptor) }

    /// Serves a connection until the client closes it.
    func serve() {
      let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8)
      let connection = accept(descriptor, nil, nil)
      var buffer = [UInt8](repeating: 0, count: 4096)
      while recv(connection, &buffer, buffer.count, 0) > 0 {
        usleep(delay_us)
        _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
      }
      close(connection)
    }
  }

  private func run(delay_us: UInt32, rate: Double, duration_s: Double) throws -> LoadFigures {
    let server = try SlowServer(delay_us: delay_us)
    let served = DispatchGroup()
    DispatchQueue.global().async(group: served) { server.serve() }
    var figures: LoadFigures?
    do {
      var loop = try OpenLoop(
        to: server.address, request: Array("GET / HTTP/1.1\r\n\r\n".utf8), rate: rate, connections: 1)
      figures = loop.run(duration_s: duration_s)
    }
    served.wait()
    return try #require(figures)
  }

  @Test func `a rate the server can keep is kept`() throws {
    let figures = try run(delay_us: 1000, rate: 50, duration_s: 1)
    #expect(figures.errors == 0)
    #expect(figures.due == Int(figures.duration_s * 50) && figures.due >= 50)
    // The machine may be busy for a while, and the last one still on its way.
    #expect(figures.answered <= figures.due && figures.answered > 25)
    #expect(figures.p50 >= 1000)
  }

  @Test func `what waits for a connection has waited since it was due`() throws {
    // A hundred are due in the second, and each takes 40 ms: at most twenty-five are answered.
    let figures = try run(delay_us: 40_000, rate: 100, duration_s: 1)
    #expect(figures.errors == 0)
    #expect(figures.due >= 100 && figures.answered > 2)
    #expect(Double(figures.answered) <= figures.duration_s / 0.04)
    #expect(figures.max > 400_000, "the last was due more than 400 ms before its answer: \(figures.max) µs")
  }
}
