import Contract

/// Where packets from one local address leave, as one list in which the longest prefix counts: what the kernel finds
/// by going through its rules and tables (fib_lookup in net/ipv4/fib_rules.c), worked out beforehand.
struct RouteMap {
  /// The interface's index; 0 where it is not the same for every packet, or not known.
  private(set) var interfaces: [RoutePrefix: UInt32] = [:]

  /// - Parameter local: the address packets are from, host byte order.
  init(from local: UInt32, _ tables: RoutingTables) {
    for rule in tables.rules {
      switch Self.match(rule, local) {
      case .no: continue
      case .some(let destination): claim([destination: 0])
      case .yes:
        switch rule.action {
        case .table(let table):
          claim(Self.routes(tables.routes.filter { $0.table == table && $0.prefix.length > rule.suppressedLength }))
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

  private static func match(_ rule: RoutingRule, _ local: UInt32) -> Match {
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
      if route.isOfTypeOfService {
        uncertain.insert(route.prefix)
      } else if best[route.prefix].map({ route.metric < $0.metric }) ?? true {
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

  /// Entries of the kernel part's map, for all local addresses (host byte order).
  static func entries(from locals: Set<UInt32>, _ tables: RoutingTables) -> [RouteKey: UInt32] {
    var entries: [RouteKey: UInt32] = [:]
    for local in locals {
      for (prefix, interface) in RouteMap(from: local, tables).interfaces {
        let key = RouteKey(
          length: UInt32(32 + prefix.length), localAddress: local.bigEndian, remoteAddress: prefix.address.bigEndian)
        entries[key] = interface
      }
    }
    return entries
  }
}
