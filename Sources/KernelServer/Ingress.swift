import BPFKernel
import Contract
import KernelSockets
import Wire

/// The kernel part of Apus: called for every packet that comes in on an interface it is attached to.
@section("tc") @used @c(apus_ingress)
public func ingress(_ context: UnsafeMutableRawPointer) -> Int32 {
  receive(PacketContext(context)).rawValue
}

/// Takes a packet if it is ours: to this host, TCP, to an address we answer for. All others are the kernel's.
@inline(__always)
func receive(_ packet: PacketContext) -> Verdict {
  guard packet.type == PacketContext.typeHost, !packet.hasVLANTag, let segment = Segment(packet) else { return .next }
  let key = ListenerKey(address: segment.flow.localAddress, port: segment.flow.localPort)
  guard let listener = Maps.listeners[key] else { return .next }
  guard let memory = Maps.scratch else { return .next }
  let scratch = Scratch(memory)
  scratch.payloadLength.set(segment.payloadLength)
  scratch.optionsLength.set(segment.headerLength &- UInt16(TCPHeader.byteCount))
  guard let control = Maps.control, let counters = Maps.counters else { return .next }

  let server = Server(
    packet: packet, segment: segment, listener: listener, control: control, scratch: scratch,
    counters: Counters(counters))
  if let stored = Maps.connections[segment.flow] { return server.proceed(stored) }
  return server.begin()
}

/// One packet of a client, and what is needed to deal with it.
struct Server {
  let packet: PacketContext
  let segment: Segment
  let listener: UnsafeMutablePointer<Listener>
  let control: UnsafeMutablePointer<Control>
  let scratch: Scratch
  let counters: Counters

  /// The daemon knows of every change of a file up to two seconds ago. If not, nothing is answered from here.
  @inline(__always) var isFresh: Bool {
    Clock.coarse_ns &- control.pointee.heartbeat_ns < Limits.heartbeatAge_ns_max
      || control.pointee.heartbeat_ns > Clock.coarse_ns
  }
  @inline(__always) var isDraining: Bool { control.pointee.draining != 0 }
  /// The server behind listens on this very address: the kernel can deal with what we leave to it.
  @inline(__always) var hasOwnListener: Bool { listener.pointee.flags & Listener.ownAddress != 0 }

  @inline(__always) func drop(_ reason: DropReason) -> Verdict {
    counters.count(reason)
    return .drop
  }

  @inline(__always) func leave() -> Verdict {
    counters.count(.leftToKernel)
    return .next
  }

  /// Answers with a segment that carries nothing but its header.
  @inline(__always) func send(_ reply: Reply, counting counter: Counter) -> Verdict {
    guard reply.write(to: packet, for: segment, headers: scratch.headers) else { return drop(.packet) }
    counters.count(counter)
    return packet.reflect()
  }
}
