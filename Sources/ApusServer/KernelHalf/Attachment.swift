import BPF
import Contract
import Logging
import Synchronization

/// Where the kernel part is attached, and the addresses it answers for: kept as the interfaces of the machine are.
/// Links are not pinned: they go with the process, whatever ends it.
final class Attachment: Sendable {
  private let part: KernelPart
  private let listen: [ListenAddress]
  private let backend: ListenAddress?
  private let clients: ClientLists
  /// The interfaces the user named; empty: those that carry the addresses.
  private let named: [String]
  private let logger: Logger
  private let links = Mutex<[Place]>([])

  private struct Place: Sendable {
    let interface: String
    let index: UInt32
    let link: AttachedLink
  }

  init(part: KernelPart, options: ServeOptions, logger: Logger) {
    self.part = part
    listen = options.listen
    backend = options.backend
    named = options.interfaces
    clients = options.clients
    self.logger = logger
  }

  /// The interfaces it is attached to now.
  var interfaces: [String] { links.withLock { $0.map(\.interface) } }

  /// Attaches; afterwards packets are answered as soon as there is a heartbeat.
  func attach() throws {
    let all = InterfaceAddress.all()
    for name in named where !all.contains(where: { $0.interface == name }) {
      throw ServeFailure("no interface \(name) is up and has an IPv4 address")
    }
    guard !places(among: all).isEmpty else {
      throw ServeFailure("no interface that is up carries \(listen.map(\.host).joined(separator: ", "))")
    }
    part.control.setHandshakeOptions(HandshakeSettings.current())
    try part.setClients(clients)
    try part.setListeners(listeners(among: all))
    try links.withLock { links in
      for place in places(among: all) {
        links.append(
          Place(interface: place.name, index: place.index, link: try AttachedLink(part.program, place.index)))
      }
    }
  }

  /// Follows changes: addresses come and go, and interfaces with them, and settings change.
  func refresh() {
    part.control.setHandshakeOptions(HandshakeSettings.current())
    let all = InterfaceAddress.all()
    do {
      try part.setListeners(listeners(among: all))
    } catch {
      logger.error("cannot change the addresses answered for: \(error)")
    }
    let wanted = places(among: all)
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
    }
  }

  func detach() { links.withLock { $0.removeAll() } }

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
      for local in all where address.isWildcard || address.address == local.address {
        let key = ListenerKey(address: local.address.bigEndian, port: address.port.bigEndian)
        var behind = backend ?? ListenAddress(address: local.address, port: address.port)
        if behind.isWildcard { behind.address = local.address }
        // The built-in server, or a server Apus is attached to.
        let isOwn = behind.address == local.address && behind.port == address.port
        listeners[key] = Listener(
          backendAddress: behind.address.bigEndian, backendPort: behind.port.bigEndian,
          flags: flags | (isOwn ? Listener.ownAddress : 0), defaultSite: 0)
      }
    }
    return listeners
  }

  private var flags: UInt16 {
    (backend == nil ? 0 : Listener.siteByHost)
      | (clients.allowed.isEmpty ? 0 : Listener.onlyAllowed) | (clients.denied.isEmpty ? 0 : Listener.notDenied)
  }
}

/// A link in a box: a link cannot be copied, and arrays hold only what can be.
private final class AttachedLink: Sendable {
  let link: Link

  init(_ program: Program, _ interfaceIndex: UInt32) throws(BPFError) {
    if Features.hasTCX(interfaceIndex: interfaceIndex) {
      link = try program.attachTCX(interfaceIndex: interfaceIndex)
    } else {
      link = try program.attachClsact(interfaceIndex: interfaceIndex, name: "apus")
    }
  }
}
