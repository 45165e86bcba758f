import Foundation
import Synchronization

/// A server of a few lines, whose listener is of a chosen kind. It answers every request with 200 and, in `X-Peer`,
/// the address the connection comes from; nothing it says may be stored. After `Connection: close` it closes.
public final class TestListener: StoppableServer {
  /// How it listens.
  public struct Kind: Sendable {
    /// IPPROTO_MPTCP.
    public var isMultipath = false
    /// `[::]`, for IPv4 too.
    public var isDualStack = false
    /// At all addresses instead of the server's.
    public var isWildcard = false
    /// Listeners in a SO_REUSEPORT group.
    public var count = 1
    /// Seconds of TCP_DEFER_ACCEPT.
    public var deferral_s: Int32 = 0
    public var backlog: Int32 = 128

    public init(_ change: (inout Kind) -> Void = { _ in }) { change(&self) }
  }

  private let descriptors: [Int32]
  private let acceptances: [Counter]
  private let isClosed = Counter()

  private final class Counter: Sendable {
    let value = Atomic(0)
  }

  /// - Parameter accepts: whether it takes connections from the start.
  public init(in network: TestNetwork, port: UInt16, _ kind: Kind = Kind(), accepts: Bool = true) throws {
    let address = network.serverAddress
    descriptors = try network.server.withThread {
      try (0..<kind.count).map { _ in try Self.listen(kind, address, port) }
    }
    acceptances = descriptors.map { _ in Counter() }
    network.adopt(self)
    if accepts { accept() }
  }

  deinit { kill() }

  /// Connections taken, by listener.
  public var accepted: [Int] { acceptances.map { $0.value.load(ordering: .relaxed) } }

  /// Begins to take connections.
  public func accept() {
    for (descriptor, counter) in zip(descriptors, acceptances) {
      Thread.detachNewThread {
        while true {
          let connection = Glibc.accept(descriptor, nil, nil)
          if connection < 0 { return }
          counter.value.add(1, ordering: .relaxed)
          Thread.detachNewThread { Self.answer(connection) }
        }
      }
    }
  }

  /// Stops listening; connections go on.
  public func kill() {
    guard isClosed.value.add(1, ordering: .relaxed).newValue == 1 else { return }
    for descriptor in descriptors {
      // Wakes the thread in accept(2).
      shutdown(descriptor, Int32(SHUT_RDWR))
      close(descriptor)
    }
  }

  private static func listen(_ kind: Kind, _ address: String, _ port: UInt16) throws -> Int32 {
    let family = kind.isDualStack ? AF_INET6 : AF_INET
    // IPPROTO_MPTCP
    let descriptor = socket(
      family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), kind.isMultipath ? 262 : 0)
    guard descriptor >= 0 else { throw SupportError.systemCall("socket", errno) }
    func set(_ level: Int32, _ option: Int32, _ value: Int32) {
      var value = value
      setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
    set(SOL_SOCKET, SO_REUSEADDR, 1)
    if kind.count > 1 { set(SOL_SOCKET, SO_REUSEPORT, 1) }
    if kind.deferral_s > 0 { set(Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, kind.deferral_s) }
    let code: Int32
    if kind.isDualStack {
      set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0)
      var target = sockaddr_in6()
      target.sin6_family = sa_family_t(AF_INET6)
      target.sin6_port = port.bigEndian
      code = bind(descriptor, &target)
    } else {
      var target = socketAddress(kind.isWildcard ? "0.0.0.0" : address, port)
      code = bind(descriptor, &target)
    }
    guard code == 0, Glibc.listen(descriptor, kind.backlog) == 0 else {
      let code = errno
      close(descriptor)
      throw SupportError.systemCall("bind or listen", code)
    }
    return descriptor
  }

  private static func bind<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
      }
    }
  }

  private static func answer(_ connection: Int32) {
    defer { close(connection) }
    let body = "hello"
    let response =
      "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nCache-Control: no-store\r\nX-Peer: \(peer(connection))\r\n\r\n"
      + body
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    let end = Array("\r\n\r\n".utf8)
    while true {
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return }
      received += buffer[..<count]
      guard received.suffix(4).elementsEqual(end) else { continue }
      let isLast = String(decoding: received, as: UTF8.self).contains("\r\nConnection: close\r\n")
      received = []
      let bytes = Array(response.utf8)
      guard send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count, !isLast else { return }
    }
  }

  /// The address of the other end; IPv4 addresses mapped to IPv6 as such.
  private static func peer(_ connection: Int32) -> String {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let code = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getpeername(connection, $0, &length) == 0
          ? getnameinfo($0, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) : -1
      }
    }
    guard code == 0 else { return "unknown" }
    let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.hasPrefix("::ffff:") ? String(name.dropFirst(7)) : name
  }
}
