import Foundation
import TestSupport

/// Why a request was not answered.
enum ClientFailure: Error, Hashable, CustomStringConvertible {
  /// connect(2), send(2) or recv(2) failed with an errno.
  case connect(Int32)
  case connection(Int32)
  case closed
  case timedOut
  case malformed

  var description: String {
    switch self {
    case .connect(let code): "connecting: " + String(cString: strerror(code))
    case .connection(let code): String(cString: strerror(code))
    case .closed: "closed early"
    case .timedOut: "timed out"
    case .malformed: "malformed"
    }
  }
}

/// A blocking connection that costs little, for load whose every answer is looked at. To be made on a thread in the
/// namespace it shall connect from.
final class FaultClient {
  struct Answer {
    var status: Int
    var body: ArraySlice<UInt8>
    /// Whether the kernel part wrote it, where ``FaultClient/tellApart(_:)`` has been called.
    var isFromKernelPart: Bool
  }

  private let descriptor: Int32
  private var buffer = [UInt8](repeating: 0, count: 16_384)
  private var end = 0

  /// The kernel part offers a constant window of 64,240 bytes; sockets with small buffers offer less. So the window of
  /// the segment that carried an answer says whose it is.
  static func tellApart(_ network: TestNetwork) throws {
    try network.server.set("ipv4/tcp_rmem", to: "'4096 32768 32768'")
  }
  private static let socketWindowMax: UInt32 = 40_000

  /// - Parameters:
  ///   - source: the client's address; by default the device's first.
  ///   - isNagleOff: whether to set TCP_NODELAY.
  init(
    from source: String? = nil, to address: String, port: UInt16, timeout_s: Double, isNagleOff: Bool = true
  ) throws(ClientFailure) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .connect(errno) }
    var on: Int32 = 1
    if isNagleOff { setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size)) }
    var timeout = timeval(tv_sec: Int(timeout_s), tv_usec: Int(timeout_s.truncatingRemainder(dividingBy: 1) * 1e6))
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
    if let source {
      // The port is chosen by connect(2), among those free for this one target (ip(7)).
      setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on, socklen_t(MemoryLayout<Int32>.size))
      let code = Self.call(bind, descriptor, source, 0)
      guard code == 0 else { throw .connect(code) }
    }
    let code = Self.call(connect, descriptor, address, port)
    // EINPROGRESS is what SO_SNDTIMEO makes of a connect(2) that takes too long (socket(7)).
    guard code == 0 else { throw code == EINPROGRESS || code == EAGAIN ? .timedOut : .connect(code) }
  }

  deinit { close(descriptor) }

  /// Calls bind(2) or connect(2).
  ///
  /// - Returns: 0 or errno.
  private static func call(
    _ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32, _ address: String,
    _ port: UInt16
  ) -> Int32 {
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = port.bigEndian
    inet_pton(AF_INET, address, &target.sin_addr)
    return withUnsafePointer(to: &target) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 ? 0 : errno
      }
    }
  }

  /// Sends a GET of HTTP/1.1 and reads its answer, whose body must have a Content-Length.
  func get(
    _ target: String, host: String = "apus.test", closes: Bool = false, acceptEncoding: String? = nil
  ) throws(ClientFailure) -> Answer {
    let fields = (closes ? "Connection: close\r\n" : "") + (acceptEncoding.map { "Accept-Encoding: \($0)\r\n" } ?? "")
    let request = Array("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n".utf8)
    let sent = request.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    guard sent == request.count else { throw failure(sent) }
    end = 0
    var searched = 0
    while true {
      if let headEnd = endOfHead(from: searched) { return try finish(headEnd) }
      searched = max(0, end - 3)
      try receive()
    }
  }

  /// Sends some bytes, perhaps reads some, and goes with the object: by FIN, or by RST (socket(7), SO_LINGER).
  func vanish(after bytes: [UInt8], reads: Bool, byReset: Bool) {
    _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    if reads { _ = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) } }
    if byReset {
      var option = linger(l_onoff: 1, l_linger: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
  }

  private func finish(_ headEnd: Int) throws(ClientFailure) -> Answer {
    let head = String(decoding: buffer[..<headEnd], as: UTF8.self)
    let lines = head.split(separator: "\r\n")
    let field = lines.first { $0.prefix(15).lowercased() == "content-length:" }
    guard head.hasPrefix("HTTP/1.1 "), let status = Int(head.dropFirst(9).prefix(3)),
      let length = field.flatMap({ Int($0.dropFirst(15).drop { $0 == " " }) }), length >= 0
    else { throw .malformed }
    if headEnd + length > buffer.count {
      buffer.append(contentsOf: repeatElement(0, count: headEnd + length - buffer.count))
    }
    while end < headEnd + length { try receive() }
    guard end == headEnd + length else { throw .malformed }
    let isFromKernelPart = peerWindow(of: descriptor) > Self.socketWindowMax
    return Answer(status: status, body: buffer[headEnd..<end], isFromKernelPart: isFromKernelPart)
  }

  /// The count of bytes up to and with the empty line.
  private func endOfHead(from start: Int) -> Int? {
    guard end >= 4 else { return nil }
    for index in start..<end - 3
    where buffer[index] == 13 && buffer[index + 1] == 10 && buffer[index + 2] == 13 && buffer[index + 3] == 10 {
      return index + 4
    }
    return nil
  }

  private func receive() throws(ClientFailure) {
    guard end < buffer.count else { throw .malformed }
    let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + end, $0.count - end, 0) }
    guard count > 0 else { throw failure(count) }
    end += count
  }

  private func failure(_ result: Int) -> ClientFailure {
    if result == 0 { return .closed }
    return errno == EAGAIN ? .timedOut : .connection(errno)
  }
}
