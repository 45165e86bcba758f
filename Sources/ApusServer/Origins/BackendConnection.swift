import Contract
import Glibc
import Wire

/// Where a server listens.
struct BackendEndpoint: Sendable, Equatable, CustomStringConvertible {
  var address: IPAddress
  var port: UInt16
  /// The kernel part answers at this very address: our own requests must pass it by, or the answers would be its own.
  var isAttachedTo = false

  init(address: IPAddress, port: UInt16, isAttachedTo: Bool = false) {
    self.address = address
    self.port = port
    self.isAttachedTo = isAttachedTo
  }

  var description: String { ListenAddress(address: address, port: port).description }
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
    let family = endpoint.address.isIPv4 ? AF_INET : AF_INET6
    descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { throw .system(call: "socket", errno: errno) }
    var timeout = timeval(tv_sec: timeout_ms / 1000, tv_usec: timeout_ms % 1000 * 1000)
    // SO_SNDTIMEO bounds connect(2) too (socket(7)).
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
    if endpoint.isAttachedTo { try passKernelPart(family) }
    let result = endpoint.address.withSocketAddress(port: endpoint.port) { connect(descriptor, $0, $1) }
    if result != 0 { throw .system(call: "connect", errno: errno) }
  }

  /// The kernel part takes no datagram with IP options, or with an extension header (`Segment.read`). Those that say
  /// nothing change nothing else about it.
  private func passKernelPart(_ family: Int32) throws(Failure) {
    if family == AF_INET {
      // Four times "no operation" (RFC 791 section 3.1).
      let noOperations: [UInt8] = [1, 1, 1, 1]
      if setsockopt(descriptor, Int32(IPPROTO_IP), IP_OPTIONS, noOperations, socklen_t(noOperations.count)) != 0 {
        throw .system(call: "setsockopt(IP_OPTIONS)", errno: errno)
      }
    } else {
      // Destination options of 8 bytes, of which PadN takes six (RFC 8200 sections 4.2 and 4.6); they need CAP_NET_RAW.
      let padding: [UInt8] = [0, 0, 1, 4, 0, 0, 0, 0]
      if setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_DSTOPTS, padding, socklen_t(padding.count)) != 0 {
        throw .system(call: "setsockopt(IPV6_DSTOPTS)", errno: errno)
      }
    }
  }

  deinit { close(descriptor) }

  /// Sends a request and reads the answer to it.
  ///
  /// - Parameters:
  ///   - isHead: it is a HEAD request, whose answer has no body.
  ///   - bytesMax: of head and body together.
  func exchange(
    _ request: [UInt8], isHead: Bool = false, bytesMax: Int = Limits.responseBytesMax
  ) throws(Failure) -> BackendAnswer {
    let request_s = Self.realtime_s()
    var answer = try answer(to: request, isHead: isHead, bytesMax)
    answer.times = BackendAnswer.Times(
      request_s: request_s, response_s: Self.realtime_s(), response_ns: MonotonicClock.now_ns())
    return answer
  }

  private static func realtime_s() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return time.tv_sec
  }

  private func answer(to request: [UInt8], isHead: Bool, _ bytesMax: Int) throws(Failure) -> BackendAnswer {
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
      if let end = headEnd(from: searched) { return try readBody(headLength: end, isHead: isHead, bytesMax) }
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

  private func readBody(headLength: Int, isHead: Bool, _ bytesMax: Int) throws(Failure) -> BackendAnswer {
    var answer: BackendAnswer
    do throws(BackendAnswer.Malformed) {
      answer = try BackendAnswer(head: Array(received[..<headLength]))
    } catch { throw .malformed(error.reason) }
    received.removeFirst(headLength)
    // A 304 has no body, nor has an answer to HEAD, whatever its Content-Length says (RFC 9112 section 6.3).
    if answer.status == 304 || isHead { return answer }
    let bytesMax = bytesMax - headLength
    guard let length = answer.isChunked ? try readChunks(bytesMax) : answer.contentLength else { return answer }
    try receive(count: length, max: bytesMax)
    answer.body = Array(received[..<length])
    received.removeFirst(length)
    return answer
  }

  /// Receives a chunked body (RFC 9112 section 7.1), without chunk extensions and without trailers.
  ///
  /// - Returns: its bytes, the framing among them.
  private func readChunks(_ bytesMax: Int) throws(Failure) -> Int {
    var position = 0
    while true {
      var end = position
      while true {
        try receive(count: end + 2, max: bytesMax)
        if received[end] == 13 && received[end + 1] == 10 { break }
        end += 1
      }
      // No sign and no white space, as Int(_:radix:) would have them; eight digits are more than is ever received.
      let digits = received[position..<end]
      guard (1...8).contains(digits.count), digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
        let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
      else { throw .malformed("a malformed chunk") }
      position = end + 2 + size + 2
      try receive(count: position, max: bytesMax)
      guard received[position - 2] == 13, received[position - 1] == 10 else { throw .malformed("a malformed chunk") }
      if size == 0 { return position }
    }
  }

  /// Waits until so many bytes are there.
  private func receive(count: Int, max: Int) throws(Failure) {
    if count > max { throw .answerTooLarge }
    while received.count < count {
      if try !receive() { throw .closed }
    }
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
