import BPF
import Glibc
import Wire

/// A TCP listener of this network namespace, as sock_diag(7) shows it.
struct ListeningSocket: Sendable, Equatable {
  var address: IPAddress
  var port: UInt16
  /// It speaks MPTCP, and no connection can be handed over to it (bpf_sk_assign_tcp_reqsk in net/core/filter.c).
  var isMultipath: Bool
  /// `[::]` without IPv4.
  var isOnlyIPv6 = false

  /// All listeners.
  static func all() throws(BPFError) -> [ListeningSocket] {
    // NETLINK_SOCK_DIAG
    let socket = try RouteSocket(family: 4)
    var listeners: [ListeningSocket] = []
    for family in [AF_INET, AF_INET6] {
      listeners += try socket.list(request(UInt8(family))).compactMap(ListeningSocket.init(message:))
    }
    return listeners
  }

  /// The listener the kernel would choose for packets to an address: one of that address comes before those of all
  /// (__inet_lookup_listener in net/ipv4/inet_hashtables.c). Among several of one group any may be of MPTCP.
  static func chosen(for address: ListenAddress, among all: [ListeningSocket]) -> ListeningSocket? {
    let candidates = all.filter { $0.takes(address) }
    let specific = candidates.filter { $0.address == address.address }
    let best = specific.isEmpty ? candidates : specific
    return best.first(where: \.isMultipath) ?? best.first
  }

  private func takes(_ wanted: ListenAddress) -> Bool {
    let own = ListenAddress(address: address, port: port)
    return port == wanted.port && own.covers(wanted.address) && !(isOnlyIPv6 && wanted.address.isIPv4)
  }

  /// SOCK_DIAG_BY_FAMILY with struct inet_diag_req_v2, for TCP sockets in the state TCP_LISTEN.
  private static func request(_ family: UInt8) -> RouteMessage {
    var body = [UInt8](repeating: 0, count: 56)
    body[0] = family
    body[1] = UInt8(IPPROTO_TCP)
    // INET_DIAG_INFO: without it the kernel does not tell the upper layer protocol.
    body[2] = 1 << 1
    withUnsafeBytes(of: UInt32(1) << 10) { body.replaceSubrange(4..<8, with: $0) }
    return RouteMessage(20, .list, body: body)
  }

  /// INET_DIAG_SKV6ONLY, INET_DIAG_ULP_INFO, INET_ULP_INFO_NAME
  private static let onlyIPv6: UInt16 = 11
  private static let upperLayer: UInt16 = 19
  private static let upperLayerName: UInt16 = 1

  /// struct inet_diag_msg and its attributes.
  private init?(message: [UInt8]) {
    guard message.count >= 72 else { return nil }
    let attributes = RouteAttributes(Array(message[72...]))
    port = UInt16(bigEndian: message.number(UInt16.self, at: 4))
    if message[0] == UInt8(AF_INET6) {
      address = message.withUnsafeBytes { IPAddress($0.baseAddress! + 8) }
      isOnlyIPv6 = attributes.number(Self.onlyIPv6, as: UInt8.self) == 1
    } else {
      address = IPAddress(ipv4: message.number(UInt32.self, at: 8))
    }
    isMultipath = attributes.nested(Self.upperLayer)?.string(Self.upperLayerName) == "mptcp"
  }

  init(address: IPAddress, port: UInt16, isMultipath: Bool) {
    self.address = address
    self.port = port
    self.isMultipath = isMultipath
  }
}
