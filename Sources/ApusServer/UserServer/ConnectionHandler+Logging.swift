import Glibc
import NIOCore

/// What the access log is going to say of the request that is being answered.
struct LoggedAnswer {
  fileprivate let time_ns = Int64(QuietFiles.clock_ns(CLOCK_REALTIME))
  fileprivate let start_ns = MonotonicClock.now_ns()
  /// 0: nothing has been answered yet.
  var status = 0
  var bodyBytes = 0
  /// The request's head, once the answer takes longer than its bytes stay where they are.
  fileprivate var request: [UInt8]?
}

/// A line in the access log for each request: at once where the answer is complete at once, else when it is, or when
/// the connection ends before.
extension ConnectionHandler {
  func beginLogging() {
    if worker.accessLog != nil { logged = LoggedAnswer() }
  }

  /// After a request has been looked at: logs its answer, or keeps what is needed for that.
  func logAnswer(to request: UnsafeRawBufferPointer) {
    guard let answer = logged else { return }
    switch state {
    case .sending, .proxying: logged?.request = Array(request.prefix(ServerLimits.headBytesMax))
    default: log(answer, request)
    }
  }

  /// After an answer that took its time, whole or not.
  ///
  /// - Parameter unwritten: bytes that have been counted and will not be sent.
  func logDelayedAnswer(unwritten: Int = 0) {
    guard var answer = logged, let request = answer.request else { return }
    answer.bodyBytes = max(0, answer.bodyBytes - unwritten)
    request.withUnsafeBytes { log(answer, $0) }
  }

  /// - Parameter head: of an answer that is written now.
  func noteAnswer(_ head: ByteBuffer) {
    guard logged != nil else { return }
    // Behind "HTTP/1.1 ".
    let text = head.getInteger(at: head.readerIndex + 9, endianness: .little, as: UInt32.self)
    logged?.status = text.map(AccessEntry.status) ?? 0
  }

  private func log(_ answer: LoggedAnswer, _ request: UnsafeRawBufferPointer) {
    logged = nil
    let duration_ns = MonotonicClock.now_ns() &- answer.start_ns
    let (address, port) = loggedClient
    worker.accessLog?.log(
      AccessEntry(
        outcome: .user, time_ns: answer.time_ns, client: address, clientPort: port,
        status: answer.status == 0 ? Self.clientClosedRequest : answer.status, bodyBytes: answer.bodyBytes,
        duration_ns: Int64(clamping: duration_ns), isTLS: transport.isTLS, isHTTP2: transport.stream != nil),
      request)
  }

  /// The client has gone before there was an answer: nginx's number for it, which readers of logs know.
  private static let clientClosedRequest = 499
}

extension ClientAddress {
  /// All zeros where a connection has no such address.
  static var unknown: ClientAddress { ClientAddress((0, 0)) }

  /// - Returns: the address, and the port in host byte order.
  static func read(_ address: SocketAddress?) -> (ClientAddress, UInt16) {
    switch address {
    case .v4(let address):
      (ClientAddress(ipv4: address.address.sin_addr.s_addr), UInt16(bigEndian: address.address.sin_port))
    case .v6(let address):
      (
        ClientAddress(unsafeBitCast(address.address.sin6_addr, to: (UInt64, UInt64).self)),
        UInt16(bigEndian: address.address.sin6_port)
      )
    default: (unknown, 0)
    }
  }
}
