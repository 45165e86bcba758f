import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Why a server cannot listen.
struct CannotListen: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ address: SocketAddress, _ error: any Error) {
    let place = address.port.map { "\(address.ipAddress ?? "?"):\($0)" } ?? "\(address)"
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
final class Listeners: Sendable {
  private let group: MultiThreadedEventLoopGroup
  private let limit: ConnectionLimit
  private let channels = Mutex<[any Channel]>([])

  init(group: MultiThreadedEventLoopGroup, limit: ConnectionLimit) {
    self.group = group
    self.limit = limit
  }

  /// Listens on all addresses or on none.
  ///
  /// - Parameter initialize: prepares an accepted connection; called on its event loop.
  /// - Returns: the addresses, with the ports the kernel chose for port 0.
  func bind(
    _ addresses: [SocketAddress], _ initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
  ) async throws -> [SocketAddress] {
    let bootstrap = bootstrap(initialize)
    var bound: [any Channel] = []
    for address in addresses {
      do {
        bound.append(try await bootstrap.bind(to: address).get())
      } catch {
        for channel in bound { try? await channel.close() }
        throw CannotListen(address, error)
      }
    }
    channels.withLock { $0 += bound }
    return bound.compactMap(\.localAddress)
  }

  /// Takes over a socket that listens already, and owns its descriptor from here on.
  func adopt(
    _ descriptor: CInt, _ initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
  ) async throws {
    let channel = try await bootstrap(initialize).withBoundSocket(descriptor).get()
    channels.withLock { $0.append(channel) }
  }

  func close() async {
    let closing = channels.withLock { channels in
      defer { channels = [] }
      return channels
    }
    for channel in closing { try? await channel.close() }
  }

  private func bootstrap(
    _ initialize: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
  ) -> ServerBootstrap {
    let limit = limit
    return ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: ServerLimits.listenBacklog)
      .serverChannelOption(.maxMessagesPerRead, value: ServerLimits.acceptsPerWake)
      // NIO's own handler waits a second after EMFILE and its like before it accepts again.
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptGate(limit: limit))
        }
      }
      .childChannelInitializer(initialize)
      // Each answer is written whole: there is nothing to wait for and put together (RFC 9293 section 3.7.4).
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(
        .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: ServerLimits.readBytes))
  }
}
