import Contract
import Glibc
import Testing
import Wire

@testable import ApusServer

/// What the kernel's rules and tables come to for packets from one local address.
@Suite struct RouteMapTests {
  private static let local = IPAddress(ipv4: UInt32(0x0a4d_0001).bigEndian)
  private static let mainTable: UInt32 = 254

  private func prefix(_ text: String) -> RoutePrefix {
    RoutePrefix(AddressPrefix(text)!)
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
    special.isForSome = true
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

  // MARK: IPv6

  private static let local6 = IPAddress(ipv6: "2001:db8::1")!

  private func address(_ address: IPAddress, _ index: UInt32) -> InterfaceAddress {
    InterfaceAddress(interface: "eth\(index)", index: index, address: address, isLoopback: false)
  }

  private func tables(_ routes: [Route]) -> RoutingTables {
    RoutingTables(rules: [RoutingRule(action: .table(Self.mainTable))], routes: routes)
  }

  private func entries(_ locals: [InterfaceAddress], ipv4: [Route] = [], ipv6: [Route] = []) -> [RouteKey: UInt32] {
    RouteMap.entries(from: locals, loopback: 1, ipv4: tables(ipv4), ipv6: tables(ipv6))
  }

  private func key(_ local: IPAddress, _ remote: String) -> RouteKey {
    let prefix = prefix(remote)
    return RouteKey(length: UInt32(128 + prefix.length), localAddress: local, remoteAddress: prefix.address)
  }

  @Test func `the map's keys are whole local addresses with prefixes of clients behind, in network byte order`() {
    let found = entries([address(Self.local, 4)], ipv4: [route("192.0.2.0/24", [4])])
    var wanted = RouteKey(length: 128 + 96 + 24, localAddress: Self.local, remoteAddress: IPAddress(ipv4: 0))
    wanted.remoteAddress.word3 = UInt32(0xc000_0200).bigEndian
    #expect(found == [wanted: 4])
  }

  @Test func `routes of IPv6 are for local addresses of IPv6, and two of one metric are no answer`() {
    let found = entries(
      [address(Self.local6, 2), address(Self.local, 2)], ipv4: [route("0.0.0.0/0", [2])],
      ipv6: [
        route("::/0", [2]), route("2001:db8:1::/48", [3]), route("2001:db8:2::/48", [3], metric: 1024),
        route("2001:db8:2::/48", [4], metric: 1024),
      ])
    #expect(
      found == [
        key(Self.local, "0.0.0.0/0"): 2, key(Self.local6, "::/0"): 2, key(Self.local6, "2001:db8:1::/48"): 3,
        key(Self.local6, "2001:db8:2::/48"): 0, key(Self.local6, "fe80::/10"): RouteKey.sameInterface,
      ])
  }

  @Test func `link-local clients are on the link their packets come from`() {
    let own = IPAddress(ipv6: "fe80::1")!
    let links = [route("fe80::/64", [2]), route("fe80::/64", [3]), route("fe80::1", [1])]
    #expect(
      entries([address(own, 3)], ipv6: links) == [key(own, "fe80::/10"): 3, key(own, "fe80::1"): 1])
    // The same address on two links.
    #expect(
      entries([address(own, 2), address(own, 3)], ipv6: links)
        == [key(own, "fe80::/10"): RouteKey.sameInterface, key(own, "fe80::1"): 1])
  }

  @Test(arguments: ["127.0.0.1", "127.3.2.1", "[::1]"])
  func `packets to a loopback address come by loopback`(text: String) {
    let local = ListenAddress(text + ":1")!.address
    let found = entries([address(local, 1)], ipv4: [route("0.0.0.0/0", [2])], ipv6: [route("::/0", [2])])
    #expect(found == [key(local, "::/0"): 1])
  }

  @Test(arguments: [AF_INET, AF_INET6])
  func `the machine's own rules and tables are read, and lead to itself by loopback`(family: Int32) throws {
    let tables = try RoutingTables(family, loopback: 1)
    #expect(!tables.rules.isEmpty)
    let own = prefix(family == AF_INET ? "127.0.0.1" : "::1")
    let interfaces = RouteMap(from: own.address, tables).interfaces
    #expect(([own] + own.covering).compactMap { interfaces[$0] }.first == 1)
  }
}
