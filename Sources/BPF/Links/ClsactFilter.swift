import Glibc

/// A BPF filter of a device's clsact queueing discipline (net/sched/cls_bpf.c, in direct action mode: the program's
/// return value is the verdict). Before tcx this was how a program came to a device.
struct ClsactFilter: Sendable {
  /// Stays open, because it belongs to the device's network namespace, wherever it is used from later.
  private let socket: RouteSocket
  private let place: Place
  private let entry: Entry
  private let madeDiscipline: Bool

  /// One of a device's two lists of filters.
  struct Place: Sendable {
    var interfaceIndex: UInt32
    var direction: TrafficDirection
  }

  /// A filter in such a list.
  struct Entry: Sendable, Equatable {
    var priority: UInt16
    /// ETH_P_ALL for ours.
    var networkProtocol: UInt16 = 3
    var handle: UInt32 = 1
    var kind = "bpf"
    var name: String?
  }

  /// How many priorities are tried to find a free one.
  private static let maxTries = 64
  // TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS with TCA_BPF_FLAG_ACT_DIRECT.
  private static let programAttribute: UInt16 = 6
  private static let nameAttribute: UInt16 = 7
  private static let flagsAttribute: UInt16 = 8
  private static let directAction: UInt32 = 1

  init(adding program: Int32, at place: Place, name: String, priority: UInt16) throws(BPFError) {
    let socket = try RouteSocket()
    let made = socket.request(Self.discipline(RouteMessage.newDiscipline, place, .create))
    guard made == 0 || made == EEXIST else {
      throw Self.failed("RTM_NEWQDISC", made, "queueing discipline clsact", module: "sch_ingress")
    }
    var entry = Entry(priority: priority, name: name)
    var code = EEXIST
    for candidate in Int(priority)..<Int(priority) + Self.maxTries where code == EEXIST {
      guard let candidate = UInt16(exactly: candidate) else { break }
      entry.priority = candidate
      var message = Self.filter(RouteMessage.newFilter, place, entry, .create)
      message.append(RouteMessage.options) {
        $0.append(Self.programAttribute, UInt32(program))
        $0.append(Self.nameAttribute, string: name)
        $0.append(Self.flagsAttribute, Self.directAction)
      }
      code = socket.request(message)
    }
    self.socket = socket
    self.place = place
    self.entry = entry
    madeDiscipline = made == 0
    guard code == 0 else {
      if madeDiscipline { removeUnusedDiscipline() }
      throw Self.failed("RTM_NEWTFILTER", code, "filters of type bpf", module: "cls_bpf")
    }
  }

  /// Removes this filter and, if it was made for it and no other filter is there, the discipline. Nobody is told of
  /// a failure: mostly the device has gone.
  func remove() {
    _ = socket.request(Self.filter(RouteMessage.deleteFilter, place, entry, .act))
    if madeDiscipline { removeUnusedDiscipline() }
  }

  /// The filters at a place, those of others too.
  static func list(at place: Place) throws(BPFError) -> [Entry] {
    try list(try RouteSocket(), place)
  }

  /// Removes all BPF filters of that name and returns how many there were.
  static func removeAll(named name: String, at place: Place) throws(BPFError) -> Int {
    let socket = try RouteSocket()
    var count = 0
    for entry in try list(socket, place) where entry.kind == "bpf" && entry.name == name {
      let code = socket.request(filter(RouteMessage.deleteFilter, place, entry, .act))
      guard code == 0 || code == ENOENT else { throw .failed("RTM_DELTFILTER", errno: code) }
      count += 1
    }
    return count
  }

  private static func failed(_ name: String, _ code: Int32, _ feature: String, module: String) -> BPFError {
    // So rtnetlink says that it has no such kind, and that no module brought it.
    if code == ENOENT { return .missingFeature(name: feature, hint: "load the module \(module)") }
    return .failed(name, errno: code)
  }

  private func removeUnusedDiscipline() {
    for direction in [TrafficDirection.ingress, .egress] {
      let place = Place(interfaceIndex: place.interfaceIndex, direction: direction)
      guard let filters = try? Self.list(socket, place), filters.isEmpty else { return }
    }
    _ = socket.request(Self.discipline(RouteMessage.deleteDiscipline, place, .act))
  }

  private static func list(_ socket: RouteSocket, _ place: Place) throws(BPFError) -> [Entry] {
    var message = RouteMessage(RouteMessage.getFilter, .list)
    message.appendHeader(place.interfaceIndex, handle: 0, parent: parent(place.direction), info: 0)
    var entries: [Entry] = []
    for answer in try socket.list(message) where answer.count >= RouteMessage.trafficHeaderSize {
      let attributes = RouteAttributes(Array(answer[RouteMessage.trafficHeaderSize...]))
      let info = answer.number(UInt32.self, at: 16)
      let entry = Entry(
        priority: UInt16(info >> 16), networkProtocol: UInt16(bigEndian: UInt16(truncatingIfNeeded: info)),
        handle: answer.number(UInt32.self, at: 8), kind: attributes.string(RouteMessage.kind) ?? "",
        name: attributes.nested(RouteMessage.options)?.string(nameAttribute))
      // Each priority is listed too, with handle 0.
      if entry.handle != 0 { entries.append(entry) }
    }
    return entries
  }

  /// TC_H_CLSACT as parent, handle ffff:0.
  private static func discipline(
    _ type: UInt16, _ place: Place, _ purpose: RouteMessage.Purpose
  ) -> RouteMessage {
    var message = RouteMessage(type, purpose)
    message.appendHeader(place.interfaceIndex, handle: 0xffff_0000, parent: 0xffff_fff1, info: 0)
    message.append(RouteMessage.kind, string: "clsact")
    return message
  }

  private static func filter(
    _ type: UInt16, _ place: Place, _ entry: Entry, _ purpose: RouteMessage.Purpose
  ) -> RouteMessage {
    var message = RouteMessage(type, purpose)
    // The info is the priority and, in network byte order, the protocol.
    message.appendHeader(
      place.interfaceIndex, handle: entry.handle, parent: parent(place.direction),
      info: UInt32(entry.priority) << 16 | UInt32(entry.networkProtocol.bigEndian))
    message.append(RouteMessage.kind, string: entry.kind)
    return message
  }

  /// TC_H_MIN_INGRESS or TC_H_MIN_EGRESS of clsact.
  private static func parent(_ direction: TrafficDirection) -> UInt32 {
    direction == .ingress ? 0xffff_fff2 : 0xffff_fff3
  }
}
