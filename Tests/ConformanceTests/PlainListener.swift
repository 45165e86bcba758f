import Foundation
import Synchronization
import TestSupport

/// A server behind that does no more than it must: a listening socket with the smallest backlog, from which it takes
/// connections only while it is told to. It answers GET with the files below a root, and 404.
///
/// While it does not accept, connections of its own fill its accept queue.
final class PlainListener: @unchecked Sendable {
  private let descriptor: Int32
  private let root: String
  private let namespace: NetworkNamespace
  private let address: String
  private let port: UInt16
  private let isAccepting = Atomic<Bool>(true)
  private let accepted = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)
  /// Keeps the queue full.
  private var filling: RawClient?

  private static let pollInterval_ms: Int32 = 5
  private static let requestBytesMax = 4096

  init(in network: TestNetwork, port: UInt16, root: String) throws {
    self.root = root
    self.port = port
    namespace = network.client
    address = network.serverAddress
    descriptor = try network.server.withThread { try Self.listen(on: port) }
    Thread { [self] in acceptConnections() }.start()
  }

  deinit { close(descriptor) }

  private static func listen(on port: UInt16) throws -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    // Of both families.
    let descriptor = socket(AF_INET6, kind, 0)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
    // A backlog of 0 makes room for one connection (sk_acceptq_is_full in include/net/sock.h).
    guard descriptor >= 0, bound == 0, Glibc.listen(descriptor, 0) == 0 else {
      throw SupportError.systemCall("listener behind", errno)
    }
    return descriptor
  }

  func setAccepting(_ accepts: Bool) {
    if !accepts && filling != nil { return }
    let before = accepted.load(ordering: .relaxed)
    isAccepting.store(accepts, ordering: .sequentiallyConsistent)
    if accepts {
      filling = nil
      // When it has taken one, there is room for another.
      _ = eventually(timeout_s: 1, every: 0.002) { accepted.load(ordering: .relaxed) > before }
      return
    }
    // Longer than it takes the accepting thread to see it.
    pause(seconds: Double(Self.pollInterval_ms) * 4 / 1000)
    // If there is no room for it, the queue is full already.
    filling = try? RawClient(from: namespace, to: address, port: port, timeout_s: 0.5)
  }

  func stop() {
    isStopped.store(true, ordering: .relaxed)
    finished.wait()
  }

  private func acceptConnections() {
    while !isStopped.load(ordering: .relaxed) {
      var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard isAccepting.load(ordering: .sequentiallyConsistent), poll(&waiting, 1, Self.pollInterval_ms) > 0 else {
        usleep(useconds_t(Self.pollInterval_ms) * 1000)
        continue
      }
      let connection = accept(descriptor, nil, nil)
      guard connection >= 0 else { continue }
      accepted.add(1, ordering: .relaxed)
      Thread { [self] in serve(connection) }.start()
    }
    finished.signal()
  }

  /// One request after the other, each of which ends with what was read.
  private func serve(_ connection: Int32) {
    defer { close(connection) }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var bytes = [UInt8](repeating: 0, count: Self.requestBytesMax)
    while true {
      let count = recv(connection, &bytes, bytes.count, 0)
      guard count > 0 else { return }
      let request = String(decoding: bytes[..<count], as: UTF8.self)
      let closes = request.contains("Connection: close") || !request.contains(" HTTP/1.1\r\n")
      let response = self.response(to: request, closes: closes)
      guard send(connection, response, response.count, Int32(MSG_NOSIGNAL)) == response.count, !closes else { return }
    }
  }

  private func response(to request: String, closes: Bool) -> [UInt8] {
    let words = request.split(separator: " ", maxSplits: 2)
    let file = words.count == 3 ? FileManager.default.contents(atPath: root + words[1]) : nil
    let body = file.map { [UInt8]($0) } ?? Array("nothing\n".utf8)
    let connection = closes ? "Connection: close\r\n" : ""
    let head =
      "HTTP/1.1 \(file == nil ? "404 Not Found" : "200 OK")\r\nContent-Length: \(body.count)\r\n\(connection)\r\n"
    return Array(head.utf8) + body
  }
}
