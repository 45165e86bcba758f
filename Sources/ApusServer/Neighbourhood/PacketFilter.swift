import BPF

/// A chain of nftables through which packets for this host go (also those of iptables, where it is built on nftables).
struct FilterChain: Sendable, Equatable {
  /// `ip filter INPUT`: family, table, chain.
  var name: String
  var hook: Hook?
  /// Its policy drops what no rule accepts.
  var dropsByDefault = false

  /// Where a base chain stands; a chain without a hook is jumped to.
  enum Hook: UInt32, Sendable {
    case prerouting = 0
    case input = 1
    case forward, output, postrouting
  }
}

/// A rule of nftables, as far as it says something of packets to a port.
struct FilterRule: Sendable, Equatable {
  enum Effect: Sendable, Equatable {
    /// Drops or rejects packets.
    case refuses
    /// Sends them to another address or port: DNAT, REDIRECT, TPROXY.
    case redirects
    case other
  }

  /// As in `FilterChain`.
  var chain: String
  var effect: Effect
  var ports: PortCondition

  func concerns(_ port: UInt16) -> Bool {
    switch ports {
    case .any: effect == .redirects
    case .one(let range): range.contains(port)
    case .set: true
    case .none: false
    }
  }
}

/// What a rule asks of the destination port.
enum PortCondition: Sendable, Equatable {
  case any
  case one(ClosedRange<UInt16>)
  /// One of a set that is not looked into, or all but some.
  case set
  /// It is for other packets.
  case none
}

/// The packet filter of this network namespace.
struct PacketFilter: Sendable, Equatable {
  var chains: [FilterChain] = []
  var rules: [FilterRule] = []

  /// As it is now (NFT_MSG_GETCHAIN and NFT_MSG_GETRULE); empty where the kernel has no nftables.
  static func read() throws(BPFError) -> PacketFilter {
    // NETLINK_NETFILTER; NFNL_SUBSYS_NFTABLES is 10; struct nfgenmsg with AF_UNSPEC is four zeros.
    let socket = try RouteSocket(family: 12)
    func list(_ type: UInt16) throws(BPFError) -> [[UInt8]] {
      try socket.list(RouteMessage(10 << 8 | type, .list, body: [0, 0, 0, 0]))
    }
    return PacketFilter(
      chains: try list(4).compactMap(FilterChain.init(message:)),
      rules: try list(7).compactMap(FilterRule.init(message:)))
  }
}

extension RouteAttributes {
  /// Numbers are in network byte order in netfilter's messages.
  fileprivate func netNumber(_ type: UInt16) -> UInt32? {
    number(type, as: UInt32.self).map(UInt32.init(bigEndian:))
  }
}

/// The family (struct nfgenmsg), table and chain.
private func chainName(_ message: [UInt8], _ attributes: RouteAttributes, chain: UInt16) -> String? {
  let families: [UInt8: String] = [1: "inet", 2: "ip", 5: "netdev", 10: "ip6"]
  guard let family = families[message[0]], let table = attributes.string(1), let chain = attributes.string(chain) else {
    return nil
  }
  return "\(family) \(table) \(chain)"
}

extension FilterChain {
  /// Nil: not of a family IP packets meet. Attributes are NFTA_CHAIN_TABLE, NAME, HOOK, POLICY.
  fileprivate init?(message: [UInt8]) {
    guard message.count >= 4 else { return nil }
    let attributes = RouteAttributes(Array(message[4...]))
    guard let name = chainName(message, attributes, chain: 3) else { return nil }
    self.name = name
    hook = attributes.nested(4)?.netNumber(1).flatMap(Hook.init)
    // NF_DROP
    dropsByDefault = attributes.netNumber(5) == 0
  }
}

extension FilterRule {
  /// Attributes are NFTA_RULE_TABLE, CHAIN, EXPRESSIONS; an expression's are NFTA_EXPR_NAME and DATA.
  fileprivate init?(message: [UInt8]) {
    guard message.count >= 4 else { return nil }
    let attributes = RouteAttributes(Array(message[4...]))
    guard let name = chainName(message, attributes, chain: 2), let expressions = attributes.bytes(4) else { return nil }
    self.init(
      chain: name,
      expressions: RouteAttributes.list(expressions).compactMap { element in
        let expression = RouteAttributes(element.value)
        return expression.string(1).map { ($0, expression.nested(2) ?? RouteAttributes([])) }
      })
  }

  init(chain: String, expressions: [(name: String, data: RouteAttributes)]) {
    self.chain = chain
    effect = .other
    ports = .any
    var registers: Set<UInt32> = []
    for (name, data) in expressions {
      switch name {
      case "payload":
        // Two bytes at offset 2 of the transport header.
        guard let register = data.netNumber(1) else { continue }
        let isPort = data.netNumber(2) == 2 && data.netNumber(3) == 2 && data.netNumber(4) == 2
        if isPort { registers.insert(register) } else { registers.remove(register) }
      case "cmp", "range", "lookup":
        let register = data.netNumber(name == "lookup" ? 2 : 1)
        if let register, registers.contains(register) { ports = Self.condition(name, data) }
      case "match": if let condition = Self.condition(ofMatch: data) { ports = condition }
      case "reject": effect = .refuses
      // NFT_NAT_DNAT
      case "nat": if data.netNumber(1) == 1 { effect = .redirects }
      case "redir", "tproxy": effect = .redirects
      case "target": effect = Self.effect(ofTarget: data.string(1) ?? "") ?? effect
      case "immediate":
        // NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CODE: NF_DROP
        if data.nested(2)?.nested(2)?.netNumber(1) == 0 { effect = .refuses }
      default: break
      }
    }
  }

  /// Of an expression of nftables on the destination port.
  private static func condition(_ name: String, _ data: RouteAttributes) -> PortCondition {
    func port(_ type: UInt16) -> UInt16? {
      data.nested(type)?.number(1, as: UInt16.self).map(UInt16.init(bigEndian:))
    }
    // NFT_CMP_EQ, NFT_RANGE_EQ
    let isEqual = data.netNumber(2) == 0
    switch name {
    case "cmp": return isEqual ? port(3).map { .one($0...$0) } ?? .set : .set
    case "range":
      guard isEqual, let first = port(3), let last = port(4), first <= last else { return .set }
      return .one(first...last)
    default: return .set
    }
  }

  /// Of a match of iptables: struct xt_tcp has the range of destination ports in its second four bytes.
  private static func condition(ofMatch data: RouteAttributes) -> PortCondition? {
    guard let information = data.bytes(3) else { return nil }
    switch data.string(1) {
    case "tcp" where information.count >= 12:
      let (first, last) = (information.number(UInt16.self, at: 4), information.number(UInt16.self, at: 6))
      // XT_TCP_INV_DSTPT
      if information[11] & 2 != 0 { return .set }
      return first == 0 && last == .max || first > last ? nil : .one(first...last)
    case "udp": return PortCondition.none
    case "multiport": return .set
    default: return nil
    }
  }

  private static func effect(ofTarget name: String) -> Effect? {
    switch name {
    case "DNAT", "REDIRECT", "TPROXY": .redirects
    case "REJECT", "DROP": .refuses
    default: nil
    }
  }
}
