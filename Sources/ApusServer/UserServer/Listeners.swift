import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Why a server cannot listen.
struct CannotListen: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ address: SocketAddress, _ error: any Error) {
    let place =
      address.internetAddress.map { ListenAddress(address: $0, port: UInt16(address.port ?? 0)).description }
      ?? "\(address)"
    let reason =
      switch (error as? IOError)?.errnoCode {
      case EADDRINUSE: "address already in use"
      case EADDRNOTAVAIL: "this machine does not have the address"
      case EACCES, EPERM: "not permitted (a port below 1024 needs CAP_NET_BIND_SERVICE)"
      case .some(let code): String(cString: strerror(code))
      case nil: "\(error)"
      }
    description = "cannot listen on \(place): \(reason)"
  }
}

/// The listening sockets of a server, all with the same options.
///
/// Each event loop has a listener of its own for every address (SO_REUSEPORT): the kernel spreads connections over
/// them, and a connection is accepted, served and closed by one thread.
final class Listeners: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let limit: ConnectionLimit
  private let gate: ClientGate
  private let channels = Mutex<[any Channel]>([])

  init(group: MultiThreadedEventLoopGroup, limit: ConnectionLimit, gate: ClientGate) {
    self.group = group
    self.limit = limit
    self.gate = gate
  }

  /// Listens on all addresses or on none.
  ///
  /// - Parameter prepare: called for each connection, on its event loop, before that waits for anything.
  /// - Returns: the addresses, with the ports the kernel chose for port 0.
  func bind(
    _ addresses: [SocketAddress], _ prepare: @escaping Acceptor.Preparation
  ) async throws -> [SocketAddress] {
    var bound: [any Channel] = []
    var result: [SocketAddress] = []
    for address in addresses {
      do {
        try checkUnused(address)
        var address = address
        for loop in group.makeIterator() {
          var bootstrap = bootstrap(on: loop, prepare)
            .serverChannelOption(.socketOption(NIOBSDSocket.Option(rawValue: SO_REUSEPORT)), value: 1)
          if address.protocol == .inet6 {
            // [::] takes IPv4 as well, whatever net.ipv6.bindv6only says: the kernel part cannot know.
            bootstrap = bootstrap.serverChannelOption(
              ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only), value: 0)
          }
          let channel = try await bootstrap.bind(to: address).get()
          bound.append(channel)
          // Where the kernel chose the port the others take the same.
          address = channel.localAddress ?? address
        }
        result.append(address)
      } catch {
        for channel in bound { try? await channel.close() }
        throw CannotListen(address, error)
      }
    }
    let all = bound
    channels.withLock { $0 += all }
    return result
  }

  func close() async {
    let closing = channels.withLock { channels in
      defer { channels = [] }
      return channels
    }
    for channel in closing { try? await channel.close() }
  }

  /// SO_REUSEPORT would let a second Apus of the same user listen on the address as well, and half of the connections
  /// go astray. A socket without it is refused wherever anybody listens; it is bound and closed, and never listens.
  private func checkUnused(_ address: SocketAddress) throws {
    guard address.port != 0 else { return }
    let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
    let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
    let probe = Descriptor(owning: socket(family, type, 0))
    var on: CInt = 1
    var off: CInt = 0
    if family == AF_INET6 {
      setsockopt(probe.number, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &off, socklen_t(MemoryLayout<CInt>.size))
    }
    setsockopt(probe.number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
    let result = address.withSockAddr { Glibc.bind(probe.number, $0, socklen_t($1)) }
    guard result == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
  }

  private func bootstrap(on loop: any EventLoop, _ prepare: @escaping Acceptor.Preparation) -> ServerBootstrap {
    let limit = limit
    let gate = gate
    return ServerBootstrap(group: loop)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: ServerLimits.listenBacklog)
      .serverChannelOption(.maxMessagesPerRead, value: ServerLimits.acceptsPerWake)
      // Accepted sockets inherit it. Each answer is written whole: there is nothing to wait for and put together
      // (RFC 9293 section 3.7.4).
      .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      // NIO's own handler waits a second after EMFILE and its like before it accepts again.
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Acceptor(limit: limit, gate: gate, prepare: prepare))
        }
      }
  }
}
