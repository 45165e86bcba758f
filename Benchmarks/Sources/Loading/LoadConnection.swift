import CEpoll
import Glibc

/// One kept connection of the load: it has a request unanswered, or it is idle.
final class LoadConnection {
  let descriptor: Int32
  /// When the request on its way was due, on the monotonic clock.
  private(set) var due_ns: UInt64 = 0
  private(set) var isIdle = true
  private var reader = AnswerReader()

  /// Connects, and waits until it is.
  init(to address: sockaddr_in) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw LoadError.system(call: "socket", errno: errno) }
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    var address = address
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if code != 0 { throw LoadError.system(call: "connect", errno: errno) }
  }

  deinit { close(descriptor) }

  /// Sends a request that was due then. An idle connection has room for it.
  func send(_ request: [UInt8], due_ns: UInt64) throws {
    self.due_ns = due_ns
    isIdle = false
    let count = Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
    if count != request.count { throw LoadError.system(call: "send", errno: count < 0 ? errno : EAGAIN) }
  }

  /// Reads what is there.
  ///
  /// - Returns: whether the request is answered now.
  func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
    if count < 0 && (errno == EAGAIN || errno == EINTR) { return false }
    guard count > 0 else { throw LoadError.system(call: "recv", errno: count < 0 ? errno : ECONNRESET) }
    let complete = try reader.read(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    guard complete <= (isIdle ? 0 : 1) else { throw LoadError.unaskedAnswer }
    if complete == 1 { isIdle = true }
    return complete == 1
  }
}

/// Why a connection is no good.
public enum LoadError: Error, Equatable {
  case system(call: String, errno: Int32)
  /// There are more answers than requests.
  case unaskedAnswer
}
