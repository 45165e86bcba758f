import Glibc

/// A TCP client that sends what it is told to and shows every byte it gets.
final class RawClient {
  private let descriptor: CInt
  private(set) var received: [UInt8] = []
  /// Whether the server has sent its FIN.
  private(set) var isAtEnd = false

  struct Failure: Error {
    let call: String
    let error = errno
  }

  struct Response {
    var status: Int
    var head: String
    var body: [UInt8]

    /// The value of a field, `nil` where there is none.
    func field(_ name: String) -> String? {
      for line in head.split(separator: "\r\n").dropFirst() where line.hasPrefix(name + ": ") {
        return String(line.dropFirst(name.utf8.count + 2))
      }
      return nil
    }
  }

  /// - Parameter receiveBuffer: bytes of the socket's receive buffer, for slow readers.
  init(port: Int, receiveBuffer: CInt? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if var receiveBuffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<CInt>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Failure(call: "connect") }
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  }

  deinit { close(descriptor) }

  /// Sends without keeping a thread of the test's executor waiting: the server under test may need it.
  func send(_ bytes: [UInt8]) async throws {
    var sent = 0
    while sent < bytes.count {
      let rest = bytes[sent...]
      sent += try await retrying("send") {
        rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) }
      }
    }
  }

  func send(_ text: String) async throws { try await send(Array(text.utf8)) }

  /// Sends what the socket takes at once.
  func sendSome(_ bytes: [UInt8]) -> Int {
    max(0, Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)))
  }

  private func retrying(_ call: String, _ body: () -> Int) async throws -> Int {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(20)
    while true {
      let result = body()
      if result >= 0 { return result }
      guard errno == EAGAIN, clock.now < end else { throw Failure(call: call) }
      try await Task.sleep(for: .milliseconds(1))
    }
  }

  /// Sends a FIN and goes on reading.
  func shutDownSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Receives something, or the end.
  func receive(_ count: Int = 65_536) async throws {
    var bytes = [UInt8](repeating: 0, count: count)
    let result = try await retrying("recv") {
      bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress!, count, 0) }
    }
    if result == 0 { isAtEnd = true }
    received += bytes[..<result]
  }

  /// Receives until the server's FIN.
  func receiveAll() async throws -> [UInt8] {
    while !isAtEnd { try await receive() }
    defer { received = [] }
    return received
  }

  /// The next response.
  ///
  /// - Parameter toHead: whether it answers a HEAD and has no body.
  func response(toHead: Bool = false) async throws -> Response {
    var headEnd: Int?
    while headEnd == nil {
      headEnd = firstRange(of: Array("\r\n\r\n".utf8))
      if headEnd == nil {
        guard !isAtEnd else { throw Failure(call: "response: the connection ended in its head") }
        try await receive()
      }
    }
    let end = headEnd! + 4
    let head = text(received[..<end])
    let parts = head.split(separator: " ", maxSplits: 2)
    var response = Response(status: parts.count > 1 ? Int(parts[1]) ?? 0 : 0, head: head, body: [])
    let hasBody = !toHead && response.status != 304 && response.status != 204
    let length = hasBody ? response.field("Content-Length").flatMap { Int($0) } ?? 0 : 0
    while received.count < end + length {
      guard !isAtEnd else { throw Failure(call: "response: the connection ended in its body") }
      try await receive(max(65_536, end + length - received.count))
    }
    response.body = Array(received[end..<end + length])
    received.removeFirst(end + length)
    return response
  }

  func exchange(_ request: String, toHead: Bool = false) async throws -> Response {
    try await send(request)
    return try await response(toHead: toHead)
  }

  private func firstRange(of pattern: [UInt8]) -> Int? {
    guard received.count >= pattern.count else { return nil }
    return (0...received.count - pattern.count).first { received[$0...].starts(with: pattern) }
  }
}
