import BPFKernel
import Contract
import Wire

/// Called when the kernel looks for the listener of a connection in the network namespace. With a server behind that
/// listens elsewhere, a SYN that `ingress` leaves to the kernel finds nobody on the address it is to: in TIME-WAIT it would
/// be answered with an ACK (tcp_v4_rcv, TCP_TW_SYN), else with a RST. So this names the listener behind.
@section("sk_lookup") @used @c(apus_lookup)
public func lookup(_ context: UnsafeMutableRawPointer) -> Int32 {
  let lookup = SocketLookup(context)
  if lookup.isTCP && isServed(lookup), let listener = Maps.listenersBehind.socket(Backends.index(isIPv4: lookup.isIPv4))
  {
    _ = lookup.assign(listener)
  }
  return SocketLookup.pass
}

/// Whether the connection is to an address that is answered for, by an interface where it is, from a client that may.
/// `ingress` has seen to that already, but not of what it does not read: fragments, packets with a VLAN tag.
@inline(__always) private func isServed(_ lookup: SocketLookup) -> Bool {
  guard let listener = Maps.listeners[ListenerKey(address: lookup.localAddress, port: lookup.localPort)],
    listener.pointee.flags & Listener.ownAddress == 0, Maps.interfaces[lookup.interfaceIndex] != nil
  else { return false }
  var client = PrefixKey(length: 128, address: lookup.remoteAddress)
  return !ClientList.refuses(&client, listener.pointee.flags)
}

/// The listeners behind, one for each family.
enum Backends {
  @inline(__always) static func index(isIPv4: Bool) -> UInt32 { isIPv4 ? 0 : 1 }
}

extension SocketLookup {
  // Both families' words are read, of which one's are 0: where only one is, the compiler chooses between their places, and
  // the verifier refuses to read the context through a pointer that was chosen.
  @inline(__always) fileprivate var localAddress: IPAddress {
    IPAddress(localIPv6(0), localIPv6(1), localIPv6(2) | mappedMark, localIPv6(3) | localIPv4)
  }
  @inline(__always) fileprivate var remoteAddress: IPAddress {
    IPAddress(remoteIPv6(0), remoteIPv6(1), remoteIPv6(2) | mappedMark, remoteIPv6(3) | remoteIPv4)
  }
  @inline(__always) private var mappedMark: UInt32 { isIPv4 ? IPAddress.mappedMark : 0 }
}
