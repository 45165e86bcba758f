import NIOCore
import Synchronization

/// Who may connect: the lists of clients, and how many connections one may have. Asked once for each connection.
final class ClientGate: Sendable {
  private struct Rules {
    var clients: ClientLists
    var prefixLengths: ClientPrefixLengths
    var connections: ClientConnections?
  }

  private let rules: Mutex<Rules>

  /// Why a connection is closed at once.
  enum Refusal: Error {
    case notServed
    /// The client has as many as it may.
    case tooMany
  }

  init(_ configuration: UserServerConfiguration) {
    rules = Mutex(
      Rules(
        clients: configuration.clients, prefixLengths: configuration.clientPrefixLengths,
        connections: configuration.connectionsPerClientMax.map { ClientConnections(countMax: $0) }))
  }

  /// Connections that are open stay, and count as they did.
  func take(_ configuration: UserServerConfiguration) {
    rules.withLock { rules in
      rules.clients = configuration.clients
      // Another prefix is another client: what was counted for the old one says nothing about it.
      let keepsCounts = rules.prefixLengths == configuration.clientPrefixLengths
      rules.prefixLengths = configuration.clientPrefixLengths
      guard let countMax = configuration.connectionsPerClientMax else {
        rules.connections = nil
        return
      }
      if keepsCounts, let connections = rules.connections {
        connections.setMax(countMax)
      } else {
        rules.connections = ClientConnections(countMax: countMax)
      }
    }
  }

  /// Throws where the connection is not to be served.
  func admit(_ channel: any Channel) throws(Refusal) {
    let rules = rules.withLock { $0 }
    let address = channel.remoteAddress?.withoutMapping
    if let address = address?.internetAddress, !rules.clients.isServed(address) { throw .notServed }
    guard let counted = rules.connections, let client = ClientPrefix(address, rules.prefixLengths) else { return }
    guard counted.acquire(client) else { throw .tooMany }
    channel.closeFuture.whenComplete { _ in counted.release(client) }
  }
}
