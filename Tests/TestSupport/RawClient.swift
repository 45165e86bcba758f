import Foundation

/// A blocking TCP connection that sends exactly the bytes it is given, a call of ``send(_:)`` a segment (up to the
/// segment size, with TCP_NODELAY), and reads one response after the other.
public final class RawClient {
  private let descriptor: Int32
  /// Received and not yet read.
  private var buffer: [UInt8] = []
  private var atEnd = false

  /// - Parameters:
  ///   - network: whose client connects to whose server.
  ///   - timeout_s: how long connecting, and each read, may take.
  public convenience init(_ network: TestNetwork, port: UInt16 = 80, timeout_s: Double = 10) throws {
    try self.init(from: network.client, to: network.serverAddress, port: port, timeout_s: timeout_s)
  }

  /// - Parameter receiveBuffer_bytes: of SO_RCVBUF, which bounds the window; by default the kernel's choice.
  public init(
    from namespace: NetworkNamespace, to address: String, port: UInt16, timeout_s: Double = 10,
    receiveBuffer_bytes: Int32? = nil
  ) throws {
    descriptor = try namespace.withThread {
      let family = address.contains(":") ? AF_INET6 : AF_INET
      let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { throw SupportError.systemCall("socket", errno) }
      var on: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      if var size = receiveBuffer_bytes {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
      }
      let timeout_us = Int(timeout_s * patience * 1e6)
      var timeout = timeval(tv_sec: timeout_us / 1_000_000, tv_usec: timeout_us % 1_000_000)
      for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
      }
      let code = withSocketAddress(address, port) { connect(descriptor, $0, $1) }
      guard code == 0 else {
        let code = errno
        close(descriptor)
        throw ConnectError(code: code)
      }
      return descriptor
    }
  }

  deinit { close(descriptor) }

  /// The port this end was given.
  public var localPort: UInt16 {
    // The port is at the same place in both families' addresses.
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    _ = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return UInt16(bigEndian: address.sin6_port)
  }

  /// connect(2) failed with `code` (an errno).
  public struct ConnectError: Error, Equatable {
    public var code: Int32
    public init(code: Int32) { self.code = code }
  }

  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw SupportError.systemCall("send", errno) }
      sent += count
    }
  }

  /// Ends our direction of the connection.
  public func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends a GET of HTTP/1.1 and reads its response.
  public func get(_ target: String, fields: String = "") throws -> HTTPResponse {
    try send("GET \(target) HTTP/1.1\r\nHost: apus.test\r\n\(fields)\r\n")
    return try readResponse()
  }

  /// Reads the next response.
  ///
  /// - Parameter method: of the request it answers; the answer to HEAD has no body.
  public func readResponse(to method: String = "GET") throws -> HTTPResponse {
    let end = try readUntil("\r\n\r\n")
    var response = try HTTPResponse(head: take(end))
    switch try response.framing(requestMethod: method) {
    case .none: break
    case .length(let length):
      try fill(length)
      response.body = take(length)
    case .chunked: response.body = try readChunks()
    case .untilClose: response.body = try readToEnd()
    }
    return response
  }

  /// Everything up to the server's FIN.
  public func readToEnd() throws -> [UInt8] {
    while try receive() {}
    return take(buffer.count)
  }

  /// Whether the server closes the connection, with nothing more sent, within the time of a read.
  public func isClosedByServer() throws -> Bool { try buffer.isEmpty && !receive() }

  private func readChunks() throws -> [UInt8] {
    var body: [UInt8] = []
    while true {
      let line = String(decoding: take(try readUntil("\r\n")).dropLast(2), as: UTF8.self)
      guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else { throw SupportError("chunk size: \(line)") }
      try fill(size + 2)
      body += take(size)
      _ = take(2)
      if size == 0 { return body }
    }
  }

  /// - Returns: the count of bytes up to and with `mark`.
  private func readUntil(_ mark: String) throws -> Int {
    let mark = Array(mark.utf8)
    var start = 0
    while true {
      while start + mark.count <= buffer.count {
        if buffer[start..<start + mark.count].elementsEqual(mark) { return start + mark.count }
        start += 1
      }
      guard try receive() else {
        throw SupportError("closed before the end of a head: \(String(decoding: buffer, as: UTF8.self))")
      }
    }
  }

  private func fill(_ count: Int) throws {
    while buffer.count < count {
      guard try receive() else { throw SupportError("closed after \(buffer.count) of \(count) bytes") }
    }
  }

  private func take(_ count: Int) -> [UInt8] {
    let taken = Array(buffer[..<count])
    buffer.removeFirst(count)
    return taken
  }

  /// - Returns: false at the end of the stream.
  private func receive() throws -> Bool {
    if atEnd { return false }
    let room = 65_536
    let old = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: room))
    let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + old, room, 0) }
    let code = errno
    buffer.removeLast(room - max(count, 0))
    guard count >= 0 else { throw SupportError.systemCall("recv", code) }
    atEnd = count == 0
    return !atEnd
  }
}
