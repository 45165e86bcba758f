import Contract
import Testing

@testable import ApusServer

/// What the kernel's rules and tables come to for packets from one local address.
@Suite struct RouteMapTests {
  private static let local: UInt32 = 0x0a4d_0001
  private static let mainTable: UInt32 = 254

  private func prefix(_ text: String) -> RoutePrefix {
    let prefix = AddressPrefix(text)!
    return RoutePrefix(address: prefix.address, length: prefix.length)
  }

  private func route(_ text: String, _ interfaces: Set<UInt32>, table: UInt32 = mainTable, metric: UInt32 = 0) -> Route
  {
    Route(table: table, prefix: prefix(text), interfaces: interfaces, metric: metric)
  }

  private func map(_ rules: [RoutingRule], _ routes: [Route]) -> [RoutePrefix: UInt32] {
    RouteMap(from: Self.local, RoutingTables(rules: rules, routes: routes)).interfaces
  }

  private func check(
    _ rules: [RoutingRule], _ routes: [Route], _ wanted: [String: UInt32], _ location: SourceLocation = #_sourceLocation
  ) {
    let wanted = Dictionary(uniqueKeysWithValues: wanted.map { (prefix($0), $1) })
    #expect(map(rules, routes) == wanted, sourceLocation: location)
  }

  private func check(
    _ routes: [Route], _ wanted: [String: UInt32], _ location: SourceLocation = #_sourceLocation
  ) {
    check([RoutingRule(action: .table(Self.mainTable))], routes, wanted, location)
  }

  @Test func `routes of one table are taken as they are, those that say nothing new left out`() {
    check(
      [route("0.0.0.0/0", [2]), route("10.0.0.0/8", [3]), route("10.1.0.0/16", [3]), route("10.1.2.0/24", [2])],
      ["0.0.0.0/0": 2, "10.0.0.0/8": 3, "10.1.2.0/24": 2])
  }

  @Test func `the lowest metric of a prefix counts, in whatever order`() {
    let routes = [route("0.0.0.0/0", [2], metric: 100), route("0.0.0.0/0", [3], metric: 50)]
    check(routes, ["0.0.0.0/0": 3])
    check(routes.reversed(), ["0.0.0.0/0": 3])
  }

  @Test func `next hops on several interfaces, or none, are no answer`() {
    check(
      [route("0.0.0.0/0", [2, 3]), route("10.0.0.0/8", [2]), route("192.0.2.0/24", [])],
      ["0.0.0.0/0": 0, "10.0.0.0/8": 2])
  }

  @Test func `a route for one type of service makes its prefix uncertain`() {
    var special = route("10.0.0.0/8", [3])
    special.isOfTypeOfService = true
    check([route("0.0.0.0/0", [2]), route("10.0.0.0/8", [2]), special], ["0.0.0.0/0": 2, "10.0.0.0/8": 0])
  }

  @Test func `what an earlier rule's table has counts before longer prefixes of a later one`() {
    check(
      [RoutingRule(action: .table(100)), RoutingRule(action: .table(Self.mainTable))],
      [
        route("10.0.0.0/8", [5], table: 100), route("0.0.0.0/0", [2]), route("10.1.0.0/16", [3]),
        route("172.16.0.0/12", [3]),
      ],
      ["0.0.0.0/0": 2, "10.0.0.0/8": 5, "172.16.0.0/12": 3])
  }

  @Test func `a rule by source counts for that source only, inverted for all others`() {
    let routes = [route("0.0.0.0/0", [5], table: 100), route("0.0.0.0/0", [2])]
    func rules(_ source: String, inverted: Bool = false) -> [RoutingRule] {
      var rule = RoutingRule(action: .table(100), source: prefix(source))
      rule.isInverted = inverted
      return [rule, RoutingRule(action: .table(Self.mainTable))]
    }
    check(rules("10.77.0.1"), routes, ["0.0.0.0/0": 5])
    check(rules("10.77.0.2"), routes, ["0.0.0.0/0": 2])
    check(rules("10.77.0.1", inverted: true), routes, ["0.0.0.0/0": 2])
    check(rules("10.77.0.2", inverted: true), routes, ["0.0.0.0/0": 5])
  }

  @Test func `rules for other packets are passed over, inverted ones meet ours, as with wg-quick`() {
    var marked = RoutingRule(action: .table(100))
    marked.isForOthers = true
    let main = RoutingRule(action: .table(Self.mainTable))
    let routes = [route("0.0.0.0/0", [9], table: 100), route("0.0.0.0/0", [2]), route("10.0.0.0/8", [3])]
    check([marked, main], routes, ["0.0.0.0/0": 2, "10.0.0.0/8": 3])
    marked.isInverted = true
    var suppressed = main
    suppressed.suppressedLength = 0
    check([suppressed, marked, main], routes, ["0.0.0.0/0": 9, "10.0.0.0/8": 3])
  }

  @Test func `rules that are not understood leave what they may decide open, and no more`() {
    let main = RoutingRule(action: .table(Self.mainTable))
    let routes = [route("0.0.0.0/0", [2]), route("10.0.0.0/8", [3])]
    var uncertain = RoutingRule(action: .table(100))
    uncertain.isUncertain = true
    check([uncertain, main], routes, ["0.0.0.0/0": 0])
    uncertain.source = prefix("10.77.0.2")
    check([uncertain, main], routes, ["0.0.0.0/0": 2, "10.0.0.0/8": 3])
    check(
      [RoutingRule(action: .table(100), destination: prefix("10.2.0.0/16")), main], routes,
      ["0.0.0.0/0": 2, "10.0.0.0/8": 3, "10.2.0.0/16": 0])
    check([RoutingRule(action: .other), main], routes, ["0.0.0.0/0": 0])
    check([RoutingRule(action: .nothing), main], routes, ["0.0.0.0/0": 2, "10.0.0.0/8": 3])
  }

  @Test func `the map's keys are whole local addresses with prefixes of clients behind, in network byte order`() {
    let tables = RoutingTables(
      rules: [RoutingRule(action: .table(Self.mainTable))], routes: [route("192.0.2.0/24", [4])])
    let entries = RouteMap.entries(from: [Self.local], tables)
    let key = RouteKey(
      length: 56, localAddress: Self.local.bigEndian, remoteAddress: UInt32(0xc000_0200).bigEndian)
    #expect(entries == [key: 4])
  }

  @Test func `the machine's own rules and tables are read, and lead to itself by loopback`() throws {
    let tables = try RoutingTables(loopback: 1)
    #expect(!tables.rules.isEmpty)
    let interfaces = RouteMap(from: 0x7f00_0001, tables).interfaces
    let toItself =
      ([RoutePrefix(address: 0x7f00_0001, length: 32)]
      + RoutePrefix(address: 0x7f00_0001, length: 32).covering).compactMap { interfaces[$0] }.first
    #expect(toItself == 1)
  }
}
