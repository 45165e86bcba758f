import Glibc

/// A BPF filter of a device's clsact queueing discipline (net/sched/cls_bpf.c, in direct action mode: the program's
/// return value is the verdict). Before tcx this was how a program came to a device.
struct ClsactFilter: Sendable {
  /// Stays open, because it belongs to the device's network namespace, wherever it is used from later.
  private let socket: RouteSocket
  private let interfaceIndex: UInt32
  private let direction: TrafficDirection
  private let priority: UInt16
  private let madeDiscipline: Bool

  /// How many priorities are tried to find a free one.
  private static let maxTries: UInt16 = 64
  /// The filter's handle within its priority.
  private static let handle: UInt32 = 1
  /// ETH_P_ALL
  private static let allProtocols: UInt16 = 3

  init(
    adding program: Int32, to interfaceIndex: UInt32, direction: TrafficDirection, name: String, priority: UInt16
  ) throws(BPFError) {
    let socket = try RouteSocket()
    let result = socket.request(Self.discipline(RouteMessage.newDiscipline, interfaceIndex, create: true))
    guard result == 0 || result == EEXIST else { throw .failed("RTM_NEWQDISC", errno: result) }
    var code = EEXIST
    var free = priority
    for candidate in priority...UInt16(clamping: Int(priority) + Int(Self.maxTries)) {
      free = candidate
      var message = Self.filter(RouteMessage.newFilter, interfaceIndex, direction, candidate, create: true)
      message.append(RouteMessage.options) {
        // TCA_BPF_FD, TCA_BPF_NAME, TCA_BPF_FLAGS: TCA_BPF_FLAG_ACT_DIRECT.
        $0.append(6, UInt32(program))
        $0.append(7, string: name)
        $0.append(8, UInt32(1))
      }
      code = socket.request(message)
      if code != EEXIST { break }
    }
    self.socket = socket
    self.interfaceIndex = interfaceIndex
    self.direction = direction
    self.priority = free
    madeDiscipline = result == 0
    guard code == 0 else {
      if madeDiscipline { _ = socket.request(Self.discipline(RouteMessage.deleteDiscipline, interfaceIndex)) }
      throw .failed("RTM_NEWTFILTER", errno: code)
    }
  }

  /// Removes this filter and, if it was made for it, the discipline. Nobody is told of a failure: mostly the device
  /// has gone.
  func remove() {
    _ = socket.request(Self.filter(RouteMessage.deleteFilter, interfaceIndex, direction, priority))
    if madeDiscipline { _ = socket.request(Self.discipline(RouteMessage.deleteDiscipline, interfaceIndex)) }
  }

  /// TC_H_CLSACT as parent, handle ffff:0.
  private static func discipline(_ type: UInt16, _ interfaceIndex: UInt32, create: Bool = false) -> RouteMessage {
    var message = RouteMessage(type, create: create)
    message.appendHeader(interfaceIndex, handle: 0xffff_0000, parent: 0xffff_fff1, info: 0)
    message.append(RouteMessage.kind, string: "clsact")
    return message
  }

  /// TC_H_MIN_INGRESS or TC_H_MIN_EGRESS of clsact as parent; the info is priority and protocol.
  private static func filter(
    _ type: UInt16, _ interfaceIndex: UInt32, _ direction: TrafficDirection, _ priority: UInt16, create: Bool = false
  ) -> RouteMessage {
    var message = RouteMessage(type, create: create)
    message.appendHeader(
      interfaceIndex, handle: handle, parent: direction == .ingress ? 0xffff_fff2 : 0xffff_fff3,
      info: UInt32(priority) << 16 | UInt32(allProtocols.bigEndian))
    message.append(RouteMessage.kind, string: "bpf")
    return message
  }
}
