import Contract
import Glibc

/// Where a server listens.
struct BackendEndpoint: Sendable, Equatable, CustomStringConvertible {
  /// IPv4, network byte order.
  var address: UInt32
  var port: UInt16
  /// The kernel part answers at this very address: our own requests must pass it by, or the answers would be its own.
  var isAttachedTo = false

  init(address: UInt32, port: UInt16, isAttachedTo: Bool = false) {
    self.address = address
    self.port = port
    self.isAttachedTo = isAttachedTo
  }

  /// `192.0.2.1:80`; `nil` for anything else.
  init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var address = in_addr()
    guard parts.count == 2, inet_pton(AF_INET, String(parts[0]), &address) == 1, let port = UInt16(parts[1]), port > 0
    else { return nil }
    self.init(address: address.s_addr, port: port)
  }

  var description: String {
    withUnsafeBytes(of: address) { $0.map(String.init).joined(separator: ".") } + ":\(port)"
  }
}

/// A TCP connection to the server behind; blocking, with timeouts.
final class BackendConnection {
  enum Failure: Error, Equatable {
    case system(call: String, errno: Int32)
    /// The connection ended within an answer, or before one.
    case closed
    case answerTooLarge
    case malformed(String)
  }

  private let descriptor: Int32
  /// Received and not yet part of an answer.
  private var received: [UInt8] = []

  /// - Parameter timeout_ms: for connecting, and for each wait for more bytes.
  init(_ endpoint: BackendEndpoint, timeout_ms: Int) throws(Failure) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { throw .system(call: "socket", errno: errno) }
    var timeout = timeval(tv_sec: timeout_ms / 1000, tv_usec: timeout_ms % 1000 * 1000)
    // SO_SNDTIMEO bounds connect(2) too (socket(7)).
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
    if endpoint.isAttachedTo {
      // The kernel part takes no datagram with IP options (`IPv4Header.isPlain`); four times "no operation" (RFC 791
      // section 3.1) changes nothing else about it.
      let noOperations: [UInt8] = [1, 1, 1, 1]
      if setsockopt(descriptor, Int32(IPPROTO_IP), IP_OPTIONS, noOperations, socklen_t(noOperations.count)) != 0 {
        throw .system(call: "setsockopt(IP_OPTIONS)", errno: errno)
      }
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = endpoint.address
    address.sin_port = endpoint.port.bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { throw .system(call: "connect", errno: errno) }
  }

  deinit { close(descriptor) }

  /// Sends a request and reads the answer to it.
  ///
  /// - Parameter isHead: it is a HEAD request, whose answer has no body.
  func exchange(_ request: [UInt8], isHead: Bool = false) throws(Failure) -> BackendAnswer {
    let request_s = Self.realtime_s()
    var answer = try answer(to: request, isHead: isHead)
    answer.times = BackendAnswer.Times(
      request_s: request_s, response_s: Self.realtime_s(), response_ns: MonotonicClock.now_ns())
    return answer
  }

  private static func realtime_s() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time.tv_sec
  }

  private func answer(to request: [UInt8], isHead: Bool) throws(Failure) -> BackendAnswer {
    var sent = 0
    while sent < request.count {
      let count = request[sent...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw errno == EPIPE || errno == ECONNRESET ? .closed : .system(call: "send", errno: errno) }
      sent += count
    }
    var searched = 0
    while true {
      if let end = headEnd(from: searched) { return try readBody(headLength: end, isHead: isHead) }
      if received.count > Limits.responseBytesMax { throw .answerTooLarge }
      searched = max(0, received.count - 3)
      if try !receive() { throw .closed }
    }
  }

  /// Whether the server closes the connection, having sent nothing more, within the timeout.
  func endsHere() -> Bool {
    guard received.isEmpty, let isOpen = try? receive() else { return false }
    return !isOpen
  }

  /// Whether there is something behind the last answer.
  var hasMore: Bool { !received.isEmpty }

  private func headEnd(from start: Int) -> Int? {
    guard received.count >= 4 else { return nil }
    for offset in start..<(received.count - 3)
    where received[offset] == 13 && received[offset + 1] == 10 && received[offset + 2] == 13
      && received[offset + 3] == 10
    {
      return offset + 4
    }
    return nil
  }

  private func readBody(headLength: Int, isHead: Bool) throws(Failure) -> BackendAnswer {
    var answer: BackendAnswer
    do throws(BackendAnswer.Malformed) {
      answer = try BackendAnswer(head: Array(received[..<headLength]))
    } catch { throw .malformed(error.reason) }
    received.removeFirst(headLength)
    // A 304 has no body, nor has an answer to HEAD, whatever its Content-Length says (RFC 9112 section 6.3).
    guard let length = answer.contentLength, answer.status != 304, !isHead else { return answer }
    if headLength + length > Limits.responseBytesMax { throw .answerTooLarge }
    while received.count < length {
      if try !receive() { throw .closed }
    }
    answer.body = Array(received[..<length])
    received.removeFirst(length)
    return answer
  }

  /// Waits for more bytes; `false` at the end of the stream.
  private func receive() throws(Failure) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0 && errno == EINTR { continue }
      if count < 0 { throw errno == ECONNRESET ? .closed : .system(call: "recv", errno: errno) }
      received += chunk[..<count]
      return count > 0
    }
  }
}
