import Glibc

/// Talks to the admin socket of a running Apus.
public struct AdminClient: Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// Throws `AdminFailure`, as does `purge`.
  public func status() throws -> ServerStatus {
    guard let status = try answer(to: .status).status else { throw misunderstanding }
    return status
  }

  /// - Returns: the number of objects removed.
  public func purge(_ what: Purge) throws -> Int {
    guard let count = try answer(to: .purge(what)).purged else { throw misunderstanding }
    return count
  }

  /// Makes the server take its configuration as it is now. Throws `AdminFailure` with the reason where it does not; then
  /// the old one holds.
  public func reload() throws {
    guard try answer(to: .reload).reloaded == true else { throw misunderstanding }
  }

  private var misunderstanding: AdminFailure {
    AdminFailure("what answers at \(path) is no apus, or of another version")
  }

  private func answer(to request: AdminRequest) throws -> AdminAnswer {
    let line = try AdminCoding.line(request)
    guard line.count <= AdminLimits.requestBytesMax else {
      throw AdminFailure("the path is too long: a request has at most \(AdminLimits.requestBytesMax) bytes")
    }
    let descriptor = try connected()
    try send(line, to: descriptor)
    guard let answer = try? AdminCoding.decode(AdminAnswer.self, from: try receive(from: descriptor)) else {
      throw misunderstanding
    }
    if let error = answer.error { throw AdminFailure(error) }
    return answer
  }

  private func connected() throws -> Descriptor {
    let descriptor = try UnixSocket.make(nonBlocking: false)
    // SO_SNDTIMEO also bounds the wait for a place in the backlog (unix_stream_connect in net/unix/af_unix.c).
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      var time = timeval(tv_sec: AdminLimits.exchange_ms / 1000, tv_usec: AdminLimits.exchange_ms % 1000 * 1000)
      setsockopt(descriptor.number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
    guard try UnixSocket.withAddress(of: path, { connect(descriptor.number, $0, $1) }) == 0 else {
      switch errno {
      case ENOENT, ECONNREFUSED, ENOTDIR: throw AdminFailure("no apus is running: no answer at \(path)")
      case EACCES, EPERM: throw AdminFailure("\(path) belongs to another user: permission denied")
      case EAGAIN: throw silence
      default: throw AdminFailure("\(path): \(String(cString: strerror(errno)))")
      }
    }
    return descriptor
  }

  private var silence: AdminFailure {
    AdminFailure("the apus at \(path) does not answer: no word for \(AdminLimits.exchange_ms / 1000) s")
  }

  private func send(_ line: [UInt8], to descriptor: Descriptor) throws {
    var rest = line[...]
    while !rest.isEmpty {
      let result = rest.withUnsafeBytes {
        Glibc.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { throw failure() }
      rest = rest.dropFirst(result)
    }
  }

  private func receive(from descriptor: Descriptor) throws -> [UInt8] {
    var line: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    while line.last != UInt8(ascii: "\n") {
      let count = recv(descriptor.number, &piece, piece.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure() }
      guard count > 0, line.count < AdminLimits.answerBytesMax else { throw misunderstanding }
      line += piece[..<count]
    }
    return line
  }

  /// Of send(2) and recv(2), whose timeout is EAGAIN.
  private func failure() -> AdminFailure {
    if errno == EAGAIN { return silence }
    return AdminFailure("the apus at \(path) hung up: \(String(cString: strerror(errno)))")
  }
}
