import BPF
import Glibc
import Wire

/// A route of one of the kernel's tables (ip-route(8)).
struct Route: Sendable, Equatable {
  var table: UInt32
  var prefix: RoutePrefix
  /// The interfaces its next hops are on; none: packets are refused, or go where this is not known.
  var interfaces: Set<UInt32>
  /// Lower ones count.
  var metric: UInt32 = 0
  /// For packets of one type of service, or from some addresses, only.
  var isForSome = false
}

/// A rule that says which table is looked at (ip-rule(8)), as far as it concerns packets that this host sends itself
/// (fib_rule_match in net/core/fib_rules.c).
struct RoutingRule: Sendable, Equatable {
  enum Action: Sendable, Equatable {
    case table(UInt32)
    case nothing
    /// Refuses packets, or goes on at another rule.
    case other
  }

  var action: Action
  var source = RoutePrefix.all
  var destination = RoutePrefix.all
  /// It is for packets of another kind than a server's answers: forwarded ones, marked ones, to a chosen interface.
  var isForOthers = false
  /// It depends on what is not looked at here: users, ports, types of service.
  var isUncertain = false
  var isInverted = false
  /// Routes of the table with at most so long a prefix do not count.
  var suppressedLength = -1
}

/// The rules and routes of this network namespace, of one family.
struct RoutingTables: Sendable {
  /// In the order the kernel looks at them.
  var rules: [RoutingRule]
  var routes: [Route]

  init(rules: [RoutingRule], routes: [Route]) {
    self.rules = rules
    self.routes = routes
  }

  /// As the kernel has them now (RTM_GETRULE and RTM_GETROUTE); none where it does not speak the family.
  ///
  /// - Parameter family: AF_INET or AF_INET6.
  init(_ family: Int32, loopback: UInt32) throws(BPFError) {
    let socket = try RouteSocket()
    // struct fib_rule_hdr and struct rtmsg are 12 bytes that begin with the address family.
    let body = [UInt8(family)] + [UInt8](repeating: 0, count: 11)
    rules = try socket.list(RouteMessage(34, .list, body: body)).compactMap(RoutingRule.init(message:))
    routes = try socket.list(RouteMessage(26, .list, body: body)).compactMap { Route(message: $0, loopback: loopback) }
  }
}

extension RoutePrefix {
  /// From an attribute that holds an address in network byte order; without it there is none but the prefix of all.
  fileprivate init(_ bytes: [UInt8]?, length: UInt8) {
    switch bytes?.count {
    case 4:
      let address = IPAddress(ipv4: bytes!.number(UInt32.self, at: 0))
      self.init(address, length: IPAddress.mappedLength + Int(min(length, 32)))
    case 16: self.init(bytes!.withUnsafeBytes { IPAddress($0.baseAddress!) }, length: Int(min(length, 128)))
    default: self = .all
    }
  }
}

/// Messages of the two families that are known here.
private func isInternet(_ message: [UInt8]) -> Bool {
  message.count >= 12 && (message[0] == UInt8(AF_INET) || message[0] == UInt8(AF_INET6))
}

extension RoutingRule {
  /// Attributes of a rule (FRA_… in include/uapi/linux/fib_rules.h).
  private enum Attribute {
    static let destination: UInt16 = 1
    static let source: UInt16 = 2
    static let inputInterface: UInt16 = 3
    static let mark: UInt16 = 10
    static let suppressedGroup: UInt16 = 13
    static let suppressedLength: UInt16 = 14
    static let table: UInt16 = 15
    static let markMask: UInt16 = 16
    static let outputInterface: UInt16 = 17
    /// Tunnel, VRF, users, protocol, ports, DSCP and what comes after.
    static let uncertain: [UInt16] = [12, 19, 20, 22, 23, 24] + Array(25...40)
  }

  /// A message of type RTM_NEWRULE.
  init?(message: [UInt8]) {
    guard isInternet(message) else { return nil }
    let attributes = RouteAttributes(Array(message[12...]))
    switch message[7] {
    case 1: action = .table(attributes.number(Attribute.table, as: UInt32.self) ?? UInt32(message[4]))
    case 3: action = .nothing
    default: action = .other
    }
    source = RoutePrefix(attributes.bytes(Attribute.source), length: message[2])
    destination = RoutePrefix(attributes.bytes(Attribute.destination), length: message[1])
    // What the host sends itself counts as coming in by loopback, and carries no mark.
    if let name = attributes.string(Attribute.inputInterface), name != "lo" { isForOthers = true }
    if attributes.string(Attribute.outputInterface) != nil { isForOthers = true }
    let mark = attributes.number(Attribute.mark, as: UInt32.self) ?? 0
    if mark & (attributes.number(Attribute.markMask, as: UInt32.self) ?? ~0) != 0 { isForOthers = true }
    let group = attributes.number(Attribute.suppressedGroup, as: Int32.self) ?? -1
    isUncertain = message[3] != 0 || group != -1 || Attribute.uncertain.contains { attributes.bytes($0) != nil }
    isInverted = message.number(UInt32.self, at: 8) & 2 != 0
    suppressedLength = Int(attributes.number(Attribute.suppressedLength, as: Int32.self) ?? -1)
  }
}

extension Route {
  /// RTA_… in include/uapi/linux/rtnetlink.h
  private enum Attribute {
    static let destination: UInt16 = 1
    static let outputInterface: UInt16 = 4
    static let metric: UInt16 = 6
    static let nextHops: UInt16 = 9
    static let table: UInt16 = 15
  }
  /// RTN_UNICAST and RTN_LOCAL
  private static let unicast: UInt8 = 1
  private static let local: UInt8 = 2
  /// RTNH_F_DEAD
  private static let dead: UInt8 = 1

  /// A message of type RTM_NEWROUTE. Nil: no packet takes it.
  ///
  /// - Parameter loopback: the index of the interface by which the host talks to itself.
  init?(message: [UInt8], loopback: UInt32) {
    // RTM_F_CLONED: not a route but what was learned of one.
    guard isInternet(message), message.number(UInt32.self, at: 8) & 0x200 == 0 else { return nil }
    let attributes = RouteAttributes(Array(message[12...]))
    table = attributes.number(Attribute.table, as: UInt32.self) ?? UInt32(message[4])
    prefix = RoutePrefix(attributes.bytes(Attribute.destination), length: message[1])
    metric = attributes.number(Attribute.metric, as: UInt32.self) ?? 0
    // With IPv6 a route may have a source prefix (CONFIG_IPV6_SUBTREES).
    isForSome = message[3] != 0 || message[2] != 0
    interfaces = []
    switch message[7] {
    case Self.local: interfaces = [loopback]
    case Self.unicast:
      if message[8] & Self.dead != 0 { return nil }
      if let index = attributes.number(Attribute.outputInterface, as: UInt32.self) { interfaces.insert(index) }
      if let hops = attributes.bytes(Attribute.nextHops) { interfaces.formUnion(Self.interfaces(of: hops)) }
    default: break
    }
  }

  /// Of structs rtnexthop: length, flags, hops, interface.
  private static func interfaces(of hops: [UInt8]) -> Set<UInt32> {
    var interfaces: Set<UInt32> = []
    var position = 0
    while hops.count - position >= 8 {
      let length = Int(hops.number(UInt16.self, at: position))
      guard length >= 8 else { break }
      if hops[position + 2] & dead == 0 { interfaces.insert(hops.number(UInt32.self, at: position + 4)) }
      position += (length + 3) & ~3
    }
    return interfaces
  }
}
