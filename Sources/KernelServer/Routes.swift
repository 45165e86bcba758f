import BPFKernel
import Contract
import KernelSockets

/// The way back: what we send leaves by the interface the packet came in on, so that must be where the routing table
/// would send it. bpf_fib_lookup cannot be asked: it answers only for interfaces that forward (bpf_ipv4_fib_lookup in
/// net/core/filter.c), so the daemon keeps a map of where routes lead.
///
/// It is enough to look at the handshake: a connection does not change its interface under us.
extension Server {
  /// The interface the routing table sends packets to this client by; 0 if there is none, or not always the same.
  @inline(__always) private var interfaceBack: UInt32 {
    // Not on the stack, of which little is left.
    let key = memory.key(
      RouteKey(length: 256, localAddress: segment.flow.localAddress, remoteAddress: segment.flow.remoteAddress))
    guard let route = Maps.routes.value(at: key) else { return RouteKey.noInterface }
    return route.pointee == RouteKey.sameInterface ? packet.interfaceIndex : route.pointee
  }

  /// What goes back to the client leaves by another interface.
  @inline(__always) var isRoutedElsewhere: Bool {
    listener.pointee.flags & Listener.checksRoute != 0 && interfaceBack != packet.interfaceIndex
  }

  /// A SYN the kernel answers by its own routes: it has a listener on this address.
  @inline(__always) func leaveForRoute() -> Verdict {
    counters.count(.leftForRoute)
    return leave()
  }

  @inline(__always) var isHandshakeReflected: Bool { hasOwnListener || !isRoutedElsewhere }

  /// Where the server behind listens on another address the kernel would refuse the client. So the SYN-ACK is ours,
  /// but takes the kernel's route, and the connection is handed over with its first request.
  @inline(__always) func route(_ handshake: Verdict) -> Verdict {
    if handshake != .redirect { return handshake }
    let interface = interfaceBack
    return interface == RouteKey.noInterface ? handshake : packet.send(toNeighbourBy: interface)
  }
}
