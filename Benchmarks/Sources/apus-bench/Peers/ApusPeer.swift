import Foundation
import TestSupport

/// Apus in one of the ways it is used.
struct ApusPeer: Peer {
  enum Form: String {
    /// Serves the directory itself; what the kernel part cannot answer its own user half does.
    case kernel = "apus"
    case user = "apus-user"
    /// Attached to an nginx that listens already, whose files it watches.
    case attached = "apus-attach"
    /// Before an nginx, in whose accept queue every request arrives: all are misses.
    case misses = "apus-miss"
    /// In user mode before an nginx: bytes are copied from socket to socket.
    case copying = "apus-copy"
    /// In kernel mode beside an nginx, to which it sends clients on by HTTP redirection.
    case redirecting = "apus-redirect"
  }

  var form: Form
  /// Further ones of `apus serve`.
  var arguments: [String] = []
  var name: String?

  /// Answers up to about this size come from the kernel part: ten segments of 1448 bytes, less the head.
  static let kernelAnswer_bytes_max = 14_000

  var id: String { name ?? form.rawValue }

  var title: String {
    let title =
      switch form {
      case .kernel: "Apus, kernel mode"
      case .user: "Apus, user mode"
      case .attached: "Apus attached to nginx"
      case .misses: "nginx behind Apus, all misses"
      case .copying: "nginx behind Apus in user mode (copies)"
      case .redirecting: "nginx beside Apus, which redirects"
      }
    return name == nil ? title : "\(title) \(arguments.joined(separator: " "))"
  }

  var needs: [Need] {
    switch form {
    case .kernel, .user: []
    case .attached, .misses, .copying, .redirecting: ConfiguredPeer.nginx.needs
    }
  }

  private static let backendPort: UInt16 = 8080

  /// Configuration that sends everything to another server.
  private static func redirection(to authority: String) -> String {
    "site: {redirects: [{from: '/**', to: 'http://\(authority)/$1', status: 302}]}\n"
  }

  func start(at place: Place) throws -> any StartedPeer {
    let network = place.network
    let process: ApusProcess
    switch form {
    case .kernel, .user:
      process = try ApusProcess(
        in: network, root: place.root, mode: form == .user ? "user" : "kernel", arguments: arguments,
        commandPrefix: place.cpus.serverPrefix, binary: place.apus)
    case .attached:
      _ = try ConfiguredPeer.nginx.start(at: place)
      process = try ApusProcess(
        in: network, attachedTo: 80, arguments: ["--root", place.root] + arguments, binary: place.apus)
      try place.cpus.pinToServer(process.process.pid)
    case .misses, .copying:
      _ = try ConfiguredPeer.nginx("backend", "nginx", port: Self.backendPort).start(at: place)
      process = try ApusProcess(
        in: network, root: place.root, mode: form == .copying ? "user" : "kernel", backendPort: Self.backendPort,
        arguments: arguments, commandPrefix: place.cpus.serverPrefix, binary: place.apus)
    case .redirecting:
      _ = try ConfiguredPeer.nginx("backend", "nginx", port: Self.backendPort).start(at: place)
      let directory = try ScratchDirectory("redirection")
      try directory.write(Self.redirection(to: network.server(port: Self.backendPort)).utf8, to: "apus.yaml")
      process = try ApusProcess(
        in: network, root: place.root, arguments: ["--config", directory.path(of: "apus.yaml")] + arguments,
        commandPrefix: place.cpus.serverPrefix, binary: place.apus)
    }
    return StartedApus(self, process, network)
  }
}

final class StartedApus: StartedPeer {
  private let peer: ApusPeer
  private let process: ApusProcess
  private let network: TestNetwork

  init(_ peer: ApusPeer, _ process: ApusProcess, _ network: TestNetwork) {
    self.peer = peer
    self.process = process
    self.network = network
  }

  private var answersInKernel: Bool { peer.form == .kernel || peer.form == .attached }

  /// Asks as the clients will, by the address: an attached kernel part keeps the answers of each host apart.
  func warm(_ targets: [(target: String, size: Int)]) throws {
    guard answersInKernel else { return }
    for (target, size) in targets where size <= ApusPeer.kernelAnswer_bytes_max {
      let request = "GET \(target) HTTP/1.1\r\nHost: \(network.serverAddress)\r\n\r\n"
      // What is attached keeps what was asked for in two seconds of ten.
      let isHeld = try eventually(timeout_s: Self.warmUp_s, every: 0.1) {
        let before = try process.status().hits
        // A connection of its own: one that missed belongs to the server behind.
        let client = try RawClient(network)
        try client.send(request)
        _ = try client.readResponse()
        return try process.status().hits > before
      }
      guard isHeld else { throw SupportError("\(peer.id): \(target) is never answered by the kernel part") }
    }
  }

  private static let warmUp_s = 15.0

  func counters() throws -> StatusReport? { try process.status() }

  func check(from before: StatusReport?, to after: StatusReport?, requests: Int, sizes: [Int]) throws {
    guard let before, let after else { return }
    let hits = after.hits - before.hits
    let areAllSmall = !sizes.isEmpty && sizes.allSatisfy { $0 <= ApusPeer.kernelAnswer_bytes_max }
    let isRight =
      switch peer.form {
      // Some may still be on their way when the client counts.
      case .kernel, .attached: areAllSmall ? Double(hits) >= 0.98 * Double(requests) : after.mode == "kernel"
      case .misses, .redirecting: hits == 0 && after.handovers > before.handovers
      case .user, .copying: after.mode == "user"
      }
    guard isRight else {
      throw SupportError(
        "\(peer.id): \(requests) requests, but \(hits) hits; \(after.changes(since: before))")
    }
  }

  var kernelPartHolder: pid_t? { process.process.pid }
}
