import BPF
import Contract
import Glibc
import KernelSockets
import KernelSocketsHost
import Logging
import Synchronization
import Wire

/// Where the kernel part is attached, and the addresses it answers for: kept as the interfaces of the machine are.
/// Links are not pinned: they go with the process, whatever ends it.
final class Attachment: Sendable {
  private let part: KernelPart
  private let listen: [ListenAddress]
  private let backend: ListenAddress?
  private let backendOfOtherFamily: ListenAddress?
  private let rules: Mutex<Rules>
  /// The interfaces the user named; empty: those that carry the addresses.
  private let named: [String]
  private let logger: Logger
  private let links = Mutex<[Place]>([])
  /// Of the program that names the server behind to the kernel.
  private let lookupLink = Mutex<AttachedLink?>(nil)
  private let routeChanges: RouteChanges
  /// The kernel part has not been told of the last change.
  private let areRoutesOld = Atomic(true)
  private let wasMultipath = Atomic(false)
  private let hadCookies = Atomic(true)

  /// What may change while the kernel part answers.
  private struct Rules {
    /// Whether answers depend on the Host.
    var siteByHost: Bool
    var clients: ClientLists

    init(_ options: ServeOptions) {
      siteByHost = options.backend != nil || !options.virtualHosts.isEmpty
      clients = options.clients
    }
  }

  private struct Place: Sendable {
    let interface: String
    let index: UInt32
    let link: AttachedLink
  }

  init(part: KernelPart, options: ServeOptions, logger: Logger) throws {
    self.part = part
    routeChanges = try RouteChanges()
    listen = options.listen
    backend = options.backend
    backendOfOtherFamily = options.backendOfOtherFamily
    named = options.interfaces
    rules = Mutex(Rules(options))
    self.logger = logger
  }

  /// The interfaces it is attached to now.
  var interfaces: [String] { links.withLock { $0.map(\.interface) } }

  /// Attaches; afterwards packets are answered as soon as there is a heartbeat.
  func attach() throws {
    let all = InterfaceAddress.all()
    for name in named where !all.contains(where: { $0.interface == name }) {
      throw ServeFailure("no interface \(name) is up and has an address")
    }
    guard !places(among: all).isEmpty else {
      throw ServeFailure("no interface that is up carries \(listen.map(\.host).joined(separator: ", "))")
    }
    try checkBackends()
    for backend in backends where try isMultipath(backend) { throw Self.failure(.multipath(backend)) }
    followSettings()
    try part.addClients(rules.withLock { $0.clients })
    try setRoutes(among: all)
    let listeners = listeners(among: all)
    try part.setListeners(listeners)
    try links.withLock { links in
      for place in places(among: all) {
        links.append(
          Place(interface: place.name, index: place.index, link: try AttachedLink(part.program, place.index)))
      }
    }
    try part.setInterfaces(Set(places(among: all).map(\.index)))
    if listeners.values.contains(where: { $0.flags & Listener.ownAddress == 0 }) { attachLookup() }
  }

  /// Only few connections need it: without it all others are served.
  private func attachLookup() {
    do {
      let link = AttachedLink(try part.lookup().attachSocketLookup())
      lookupLink.withLock { $0 = link }
    } catch {
      logger.warning("connections that are left to the kernel find no server on their address: \(error)")
    }
  }

  /// Serves other clients, and tells hosts apart where it has to from now on.
  func take(_ options: ServeOptions) throws {
    let clients = rules.withLock { rules in
      // Never back: objects of one host must not become those of all while some are being composed.
      let siteByHost = rules.siteByHost
      rules = Rules(options)
      rules.siteByHost = rules.siteByHost || siteByHost
      return rules.clients
    }
    try part.addClients(clients)
    try part.setListeners(listeners(among: InterfaceAddress.all()))
    try part.removeClients(except: clients)
  }

  /// What else has to do with these packets; asked for before attaching.
  func remarks() -> [Neighbourhood.Remark] {
    let interfaces = places(among: InterfaceAddress.all()).map(\.name)
    return Neighbourhood(interfaces: interfaces).remarks(listen: listen, backend: backend)
  }

  private var backends: [ListenAddress] { [backend, backendOfOtherFamily].compactMap { $0 } }

  /// A connection can only be handed over to a listener of its own family.
  private func checkBackends() throws {
    guard let backend else { return }
    for address in listen {
      let families = address.address == IPAddress() ? [.default, address] : [address]
      for family in families where !backends.contains(where: { $0.isOfFamily(of: family) }) {
        let name = family.address.isIPv4 ? "IPv4" : "IPv6"
        throw ServeFailure(
          "\(name) connections to \(address) cannot be handed over to \(backend); name a --backend with an \(name) "
            + "address as well, which may be the same server's")
      }
    }
  }

  private func isMultipath(_ backend: ListenAddress) throws -> Bool {
    ListeningSocket.chosen(for: backend, among: try ListeningSocket.all())?.isMultipath == true
  }

  private static func failure(_ remark: Neighbourhood.Remark) -> ServeFailure {
    ServeFailure("\(remark.text)\(remark.remedy.map { "; " + $0 } ?? "")")
  }

  /// Follows changes: addresses come and go, and interfaces with them, and settings change.
  func refresh() {
    followSettings()
    watchBackend()
    if routeChanges.hasChanged() { areRoutesOld.store(true, ordering: .relaxed) }
    let all = InterfaceAddress.all()
    do {
      if areRoutesOld.load(ordering: .relaxed) { try setRoutes(among: all) }
      try part.setListeners(listeners(among: all))
    } catch {
      logger.error("cannot change the addresses answered for, or the routes: \(error)")
    }
    attach(to: places(among: all))
  }

  private func attach(to wanted: [(name: String, index: UInt32)]) {
    links.withLock { links in
      links.removeAll { link in !wanted.contains { $0.index == link.index } }
      for place in wanted where !links.contains(where: { $0.index == place.index }) {
        do {
          let link = try AttachedLink(part.program, place.index)
          links.append(Place(interface: place.name, index: place.index, link: link))
          logger.notice("attached to \(place.name)")
        } catch {
          logger.error("cannot attach to \(place.name): \(error)")
        }
      }
      do {
        try part.setInterfaces(Set(links.map(\.index)))
      } catch {
        logger.error("cannot change the interfaces connections may come by: \(error)")
      }
    }
  }

  /// Takes over what the kernel's settings allow in handshakes now.
  private func followSettings() {
    let allowed = HandshakeSettings.current()
    part.control.setHandshakeOptions(allowed)
    let hasCookies = allowed & HandshakeOptions.cookies != 0
    if hadCookies.exchange(hasCookies, ordering: .relaxed) && !hasCookies {
      logger.warning("net.ipv4.tcp_syncookies is 0: new connections are left to the kernel, open ones not handed over")
    }
  }

  /// A server behind that is started anew may listen in another way.
  private func watchBackend() {
    guard let backend = backends.first(where: { (try? isMultipath($0)) == true }) ?? backend,
      let isMultipath = try? isMultipath(backend)
    else { return }
    if isMultipath != wasMultipath.exchange(isMultipath, ordering: .relaxed) && isMultipath {
      logger.error("\(Self.failure(.multipath(backend)))")
    }
  }

  func detach() {
    links.withLock { $0.removeAll() }
    lookupLink.withLock { $0 = nil }
  }

  private func places(among all: [InterfaceAddress]) -> [(name: String, index: UInt32)] {
    let covering =
      named.isEmpty ? InterfaceAddress.covering(listen, among: all) : all.filter { named.contains($0.interface) }
    var seen: Set<UInt32> = []
    return covering.sorted { $0.index < $1.index }.filter { seen.insert($0.index).inserted }
      .map { ($0.interface, $0.index) }
  }

  /// One entry for each local address: a wildcard would answer for packets that are only passing through.
  private func listeners(among all: [InterfaceAddress]) -> [ListenerKey: Listener] {
    var listeners: [ListenerKey: Listener] = [:]
    for address in listen {
      for local in all where address.covers(local.address) {
        let key = ListenerKey(address: local.address, port: address.port.bigEndian)
        let own = ListenAddress(address: local.address, port: address.port)
        guard let behind = backends.isEmpty ? own : backends.first(where: { $0.isOfFamily(of: own) }) else { continue }
        // The built-in server, or a server Apus is attached to.
        let isOwn = behind.address == local.address && behind.port == address.port
        listeners[key] = Listener(
          backendAddress: behind.address, backendPort: behind.port.bigEndian,
          flags: flags | (isOwn ? Listener.ownAddress : 0), defaultSite: 0)
      }
    }
    return listeners
  }

  /// Tells the kernel part by which interface packets to each client leave.
  private func setRoutes(among all: [InterfaceAddress]) throws {
    let locals = all.filter { local in listen.contains { $0.covers(local.address) } }
    let loopback = all.first(where: \.isLoopback)?.index ?? if_nametoindex("lo")
    func tables(_ family: Int32) throws -> RoutingTables {
      // A kernel that does not speak a family has no tables to ask for.
      guard locals.contains(where: { $0.address.isIPv4 == (family == AF_INET) }) else {
        return RoutingTables(rules: [], routes: [])
      }
      return try RoutingTables(family, loopback: loopback)
    }
    var routes = RouteMap.entries(
      from: locals, loopback: loopback, ipv4: try tables(AF_INET), ipv6: try tables(AF_INET6))
    if routes.count > Limits.routesMax {
      logger.error("\(routes.count) routes are more than the \(Limits.routesMax) that are kept: hits only by loopback")
      routes = routes.filter { $0.value == loopback }
    }
    try part.setRoutes(routes)
    areRoutesOld.store(false, ordering: .relaxed)
  }

  private var flags: UInt16 {
    let rules = rules.withLock { $0 }
    return (rules.siteByHost ? Listener.siteByHost : 0) | Listener.checksRoute
      | (rules.clients.allowed.isEmpty ? 0 : Listener.onlyAllowed)
      | (rules.clients.denied.isEmpty ? 0 : Listener.notDenied)
  }
}

/// A link in a box: a link cannot be copied, and arrays hold only what can be.
private final class AttachedLink: Sendable {
  let link: Link

  init(_ link: consuming Link) { self.link = link }

  init(_ program: Program, _ interfaceIndex: UInt32) throws(BPFError) {
    if Features.hasTCX(interfaceIndex: interfaceIndex) {
      link = try program.attachTCX(interfaceIndex: interfaceIndex)
    } else {
      link = try program.attachClsact(interfaceIndex: interfaceIndex, name: "apus")
    }
  }
}
