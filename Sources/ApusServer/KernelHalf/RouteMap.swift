import Contract
import Wire

/// Where packets from one local address leave, as one list in which the longest prefix counts: what the kernel finds
/// by going through its rules and tables (fib_lookup in net/ipv4/fib_rules.c), worked out beforehand.
struct RouteMap {
  /// The interface's index; 0 where it is not the same for every packet, or not known.
  private(set) var interfaces: [RoutePrefix: UInt32] = [:]

  /// - Parameters:
  ///   - local: the address packets are from.
  ///   - tables: of its family.
  init(from local: IPAddress, _ tables: RoutingTables) {
    for rule in tables.rules {
      switch Self.match(rule, local) {
      case .no: continue
      case .some(let destination): claim([destination: 0])
      case .yes:
        switch rule.action {
        case .table(let table):
          claim(
            Self.routes(tables.routes.filter { $0.table == table && $0.prefix.lengthInFamily > rule.suppressedLength }))
        case .nothing: continue
        case .other: claim([.all: 0])
        }
      }
    }
    leaveOutRepetitions()
  }

  private enum Match {
    case no
    /// For packets to those addresses, or for some of them.
    case some(RoutePrefix)
    case yes
  }

  private static func match(_ rule: RoutingRule, _ local: IPAddress) -> Match {
    let isForOthers = rule.isForOthers || !rule.source.contains(local)
    if rule.isInverted {
      if isForOthers { return .yes }
      return rule.isUncertain || rule.destination != .all ? .some(.all) : .no
    }
    if isForOthers { return .no }
    return rule.isUncertain || rule.destination != .all ? .some(rule.destination) : .yes
  }

  /// One table's routes. Among those of one prefix the lowest metric counts.
  private static func routes(_ routes: [Route]) -> [RoutePrefix: UInt32] {
    var best: [RoutePrefix: Route] = [:]
    var uncertain: Set<RoutePrefix> = []
    for route in routes {
      if route.isForSome {
        uncertain.insert(route.prefix)
      } else if let known = best[route.prefix], known.metric <= route.metric {
        // Two of one metric IPv4 has not; IPv6 chooses by what it knows of the routers (rt6_score_route).
        if known.metric == route.metric { best[route.prefix]?.interfaces.formUnion(route.interfaces) }
      } else {
        best[route.prefix] = route
      }
    }
    var interfaces = best.mapValues { $0.interfaces.count == 1 ? $0.interfaces.first! : 0 }
    for prefix in uncertain { interfaces[prefix] = 0 }
    return interfaces
  }

  /// Adds what a rule finds. What an earlier rule has found counts, though its prefix be shorter.
  private mutating func claim(_ found: [RoutePrefix: UInt32]) {
    let earlier = interfaces
    for (prefix, interface) in found where earlier[prefix] == nil {
      if prefix.covering.contains(where: { earlier[$0] != nil }) { continue }
      interfaces[prefix] = interface
    }
  }

  /// A prefix is not needed where the next shorter one says the same.
  private mutating func leaveOutRepetitions() {
    let all = interfaces
    for (prefix, interface) in all {
      let next = prefix.covering.lazy.compactMap { all[$0] }.first
      if next == interface { interfaces[prefix] = nil }
    }
  }

  /// Whom a link-local address of IPv6 talks to, and who talks to one, is on the link of the packet: the tables name one
  /// such prefix for every interface.
  private mutating func setLinkLocal(to interface: UInt32) {
    interfaces = interfaces.filter { prefix, _ in
      prefix.length == 128 || prefix.length < RoutePrefix.linkLocal.length || !prefix.address.isLinkLocal
    }
    interfaces[.linkLocal] = interface
  }

  /// Entries of the kernel part's map, for local addresses.
  ///
  /// - Parameters:
  ///   - locals: an address as often as there are interfaces with it.
  ///   - loopback: the index of the interface by which the host talks to itself.
  static func entries(
    from locals: [InterfaceAddress], loopback: UInt32, ipv4: RoutingTables, ipv6: RoutingTables
  ) -> [RouteKey: UInt32] {
    var entries: [RouteKey: UInt32] = [:]
    for (local, places) in Dictionary(grouping: locals, by: \.address) {
      var map = RouteMap(from: local, local.isIPv4 ? ipv4 : ipv6)
      if local.isLoopback {
        // From elsewhere such packets are refused (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3).
        map.interfaces = [.all: loopback]
      } else if !local.isIPv4 {
        let isOnOne = local.isLinkLocal && Set(places.map(\.index)).count == 1
        map.setLinkLocal(to: isOnOne ? places[0].index : RouteKey.sameInterface)
      }
      for (prefix, interface) in map.interfaces {
        let key = RouteKey(
          length: UInt32(128 + prefix.length), localAddress: local, remoteAddress: prefix.address)
        entries[key] = interface
      }
    }
    return entries
  }
}
