import Foundation

/// The namespaces of one test with all that was started in them. Everything ends with the closure it is given to,
/// in the reverse order of its start, however the closure ends.
public final class TestNetwork {
  /// Where clients run.
  public let client: NetworkNamespace
  /// Where servers run; the same as ``client`` on loopback.
  public let server: NetworkNamespace
  /// The server's address as the client sees it.
  public let serverAddress: String
  /// The client's address as the server sees it.
  public let clientAddress: String

  private var running: [any StoppableServer] = []
  private var namespacesBetween: [NetworkNamespace] = []

  private init(client: NetworkNamespace, server: NetworkNamespace, serverAddress: String, clientAddress: String) {
    self.client = client
    self.server = server
    self.serverAddress = serverAddress
    self.clientAddress = clientAddress
  }

  private func use<Result>(_ body: (TestNetwork) throws -> Result) throws -> Result {
    defer {
      for server in running.reversed() { server.kill() }
      running = []
    }
    return try body(self)
  }

  /// Stops a server with the network.
  public func adopt(_ server: any StoppableServer) { running.append(server) }

  /// Namespaces that a test has made and joined by itself.
  ///
  /// - Parameters:
  ///   - serverAddress: the server's as the client sees it, and one of the server's own.
  ///   - clientAddress: the client's as the server sees it.
  ///   - between: kept as long.
  public static func with<Result>(
    client: NetworkNamespace, server: NetworkNamespace, serverAddress: String, clientAddress: String,
    between: [NetworkNamespace] = [], _ body: (TestNetwork) throws -> Result
  ) throws -> Result {
    let network = TestNetwork(
      client: client, server: server, serverAddress: serverAddress, clientAddress: clientAddress)
    network.namespacesBetween = between
    return try network.use(body)
  }

  /// Client and server in a namespace each, joined by a veth pair: eth0 (10.77.0.2) and eth0 (10.77.0.1).
  ///
  /// - Parameter ipv6: the network's addresses are fd00:a905::a4d:1 and fd00:a905::a4d:2, which the devices have besides.
  public static func withVeth<Result>(
    ipv6: Bool = false, _ body: (TestNetwork) throws -> Result
  ) throws -> Result {
    let client = try NetworkNamespace("client")
    let server = try NetworkNamespace("server")
    _ = try VethPair((server, "eth0", "10.77.0.1/24"), (client, "eth0", "10.77.0.2/24"))
    guard ipv6 else {
      let network = TestNetwork(
        client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.77.0.2")
      return try network.use(body)
    }
    for (namespace, host) in [(server, 1), (client, 2)] {
      try namespace.ip("address", "add", "fd00:a905::a4d:\(host)/112", "dev", "eth0", "nodad")
    }
    let network = TestNetwork(
      client: client, server: server, serverAddress: "fd00:a905::a4d:1", clientAddress: "fd00:a905::a4d:2")
    return try network.use(body)
  }

  /// A port of the server, as in a URL: an IPv6 address in brackets.
  public func server(port: UInt16) -> String {
    serverAddress.contains(":") ? "[\(serverAddress)]:\(port)" : "\(serverAddress):\(port)"
  }

  /// Client and server in one namespace, over its lo.
  public static func withLoopback<Result>(_ body: (TestNetwork) throws -> Result) throws -> Result {
    let namespace = try NetworkNamespace("lo")
    let network = TestNetwork(
      client: namespace, server: namespace, serverAddress: "127.0.0.1", clientAddress: "127.0.0.1")
    return try network.use(body)
  }

  /// As ``withLoopback(_:)`` where namespaces can be made, else over the loopback of the host: for what must work
  /// without privileges.
  public static func withLoopbackUnprivileged<Result>(_ body: (TestNetwork) throws -> Result) throws -> Result {
    if geteuid() == 0 { return try withLoopback(body) }
    let namespace = NetworkNamespace.host()
    let network = TestNetwork(
      client: namespace, server: namespace, serverAddress: "127.0.0.1", clientAddress: "127.0.0.1")
    return try network.use(body)
  }

  /// Client and server with a router between them that drops every packet with a probability, both ways.
  ///
  /// The loss must happen on the way: in the server's own namespace tc ingress comes before all of nftables' hooks,
  /// and a drop in the client's output path is an error its TCP sees, not a loss.
  public static func withLoss<Result>(percent: Int, _ body: (TestNetwork) throws -> Result) throws -> Result {
    let client = try NetworkNamespace("client")
    let router = try NetworkNamespace("router")
    let server = try NetworkNamespace("server")
    _ = try VethPair((server, "eth0", "10.77.0.1/24"), (router, "eth0", "10.77.0.254/24"))
    _ = try VethPair((client, "eth0", "10.77.1.2/24"), (router, "eth1", "10.77.1.254/24"))
    try server.ip("route", "add", "default", "via", "10.77.0.254")
    try client.ip("route", "add", "default", "via", "10.77.1.254")
    try router.set("ipv4/ip_forward", to: "1")
    let rules = """
      add table ip loss
      add chain ip loss forward { type filter hook forward priority 0; }
      add rule ip loss forward numgen random mod 100 < \(percent) counter drop
      """
    try router.run(["nft", rules]).orThrow()
    let network = TestNetwork(
      client: client, server: server, serverAddress: "10.77.0.1", clientAddress: "10.77.1.2")
    network.namespacesBetween = [router]
    return try network.use(body)
  }

  /// Packets that ``withLoss(percent:_:)`` dropped so far.
  public func lostPackets() throws -> Int {
    let listing = try namespacesBetween[0].run(["nft", "list", "chain", "ip", "loss", "forward"]).orThrow().output
    let words = listing.split(whereSeparator: \.isWhitespace)
    guard let place = words.firstIndex(of: "packets"), let count = Int(words[place + 1]) else {
      throw SupportError("no counter: \(listing)")
    }
    return count
  }

  /// A port of the server's address on which nothing listens.
  public func freePort() throws -> UInt16 {
    try server.withThread { [serverAddress] in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      guard descriptor >= 0 else { throw SupportError.systemCall("socket", errno) }
      defer { close(descriptor) }
      var address = socketAddress(serverAddress, 0)
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let code = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
        }
      }
      guard code == 0 else { throw SupportError.systemCall("bind", errno) }
      return UInt16(bigEndian: address.sin_port)
    }
  }
}

/// What a ``TestNetwork`` can end.
public protocol StoppableServer: AnyObject {
  func kill()
}

extension RunningProcess: StoppableServer {}

/// Calls a function of the socket API with an address of either family.
func withSocketAddress<Result>(
  _ address: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) rethrows -> Result {
  func call<Address>(_ address: Address) throws -> Result {
    try withUnsafeBytes(of: address) {
      try body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
  }
  guard address.contains(":") else { return try call(socketAddress(address, port)) }
  var result = sockaddr_in6()
  result.sin6_family = sa_family_t(AF_INET6)
  result.sin6_port = port.bigEndian
  inet_pton(AF_INET6, address, &result.sin6_addr)
  return try call(result)
}

/// An IPv4 socket address.
func socketAddress(_ address: String, _ port: UInt16) -> sockaddr_in {
  var result = sockaddr_in()
  result.sin_family = sa_family_t(AF_INET)
  result.sin_port = port.bigEndian
  inet_pton(AF_INET, address, &result.sin_addr)
  return result
}
