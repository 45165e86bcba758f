import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// The kernel part of Apus: called for every packet that comes in on an interface it is attached to.
@section("tc") @used @c(apus_ingress)
public func ingress(_ context: UnsafeMutableRawPointer) -> Int32 {
  Server.run(PacketContext(context)).rawValue
}

/// One packet of a client, and what is needed to deal with it. TCP is the library's; here is what is Apus's.
struct Server: SocketServer {
  let packet: PacketContext
  let memory: SocketMemory
  let listener: UnsafeMutablePointer<Listener>
  let control: UnsafeMutablePointer<Control>
  let counters: Counters

  @inline(__always) init?(_ packet: PacketContext, _ memory: SocketMemory) {
    let name = memory.localName
    let key = memory.key(ListenerKey(address: name.address, port: name.port))
    guard let listener = Maps.listeners.value(at: key) else { return nil }
    guard let control = Maps.control, let counters = Maps.counters else { return nil }
    self.packet = packet
    self.memory = memory
    self.listener = listener
    self.control = control
    self.counters = Counters(counters)
  }

  @inline(__always) var cookieKeys: CookieKeys {
    let control = control.pointee
    return CookieKeys(first: control.cookieKey0, second: control.cookieKey1, current: control.cookieKeySlot)
  }
  @inline(__always) var handshakeOptions: UInt32 { control.pointee.handshakeOptions }
  @inline(__always) var backend: SocketAddress {
    let behind = listener.pointee
    return SocketAddress(address: behind.backendAddress, port: behind.backendPort)
  }
  @inline(__always) var hasOwnListener: Bool { listener.pointee.flags & Listener.ownAddress != 0 }

  /// The daemon knows of every change of a file up to two seconds ago. If not, nothing is answered from here.
  @inline(__always) func isFresh(_ now_ns: UInt64) -> Bool {
    // The coarse clock may be a little behind the clock of the heartbeat.
    Int64(bitPattern: now_ns &- control.pointee.heartbeat_ns) < Int64(Limits.heartbeatAge_ns_max)
  }
  @inline(__always) var isDraining: Bool { control.pointee.draining != 0 }

  @inline(__always) func admit() -> Verdict? {
    if isClientRefused { return drop(.clientRefused) }
    // With a listener on this very address the kernel can serve while we cannot.
    if isDraining || (hasOwnListener && !isFresh(Clock.coarse_ns)) { return leaveHandshake() }
    return hasOwnListener && isRoutedElsewhere ? leaveForRoute() : nil
  }

  @inline(__always) func announce(_ listener: borrowing Socket) {
    _ = Maps.listenersBehind.update(Backends.index(isIPv4: segment.flow.localAddress.isIPv4), listener)
  }

  @inline(__always) func accept() -> Step? { !hasOwnListener && isRoutedElsewhere ? .handOver(.route) : nil }

  /// Whether the lists of clients keep this one out. The firewall's rules for incoming packets come after this
  /// program, so these lists are what stands before hits. Without a handshake there is no connection, so it is enough
  /// to look here.
  @inline(__always) private var isClientRefused: Bool {
    let flags = listener.pointee.flags
    if flags & (Listener.onlyAllowed | Listener.notDenied) == 0 { return false }
    return ClientList.refuses(memory.key(PrefixKey(length: 128, address: segment.flow.remoteAddress)), flags)
  }

  /// An empty line between two requests, in a segment of its own: RFC 9112 section 2.2 has servers ignore it. Handed
  /// over it would come first on the connection's new owner, and some ignore it only where they have answered something.
  @inline(__always) var isDataIgnored: Bool {
    segment.payloadLength == 2 && UnsafeRawPointer(memory.payload).word16(0) == 0x0a0d
      && memory.connection.pointee.answered != 0 && !segment.flags.has(TCPFlags.fin)
  }

  @inline(__always) func write() -> Bool { Phases.writePart(packet) }

  @inline(__always) private func drop(_ reason: DropReason) -> Verdict {
    counters.count(reason)
    return .drop
  }
}

/// The lists of clients who are served, and who are not.
enum ClientList {
  /// - Parameters:
  ///   - client: a `PrefixKey` of the whole address.
  ///   - flags: those of the `Listener`.
  @inline(__always) static func refuses(_ client: UnsafeRawPointer, _ flags: UInt16) -> Bool {
    if flags & Listener.notDenied != 0 && Maps.denied.value(at: client) != nil { return true }
    return flags & Listener.onlyAllowed != 0 && Maps.allowed.value(at: client) == nil
  }
}

extension Step {
  /// Handed over for a reason, which is counted.
  @inline(__always) static func handOver(_ reason: HandoverReason) -> Step { .handOver(code: reason.rawValue) }
}
