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
  guard packet.type == PacketContext.typeHost, !packet.hasVLANTag, let memory = Maps.scratch else { return .next }
  let scratch = Scratch(memory)
  guard scratch.segment.pointee.read(packet) else { return .next }
  let segment = scratch.segment.pointee
  let key = scratch.key(ListenerKey(address: segment.flow.localAddress, port: segment.flow.localPort))
  guard let listener = Maps.listeners.value(at: key) else { return .next }
  scratch.payloadLength.set(segment.payloadLength)
  scratch.optionsLength.set(segment.headerLength &- UInt16(TCPHeader.byteCount))
  guard let control = Maps.control, let counters = Maps.counters else { return .next }

  let server = Server(
    packet: packet, scratch: scratch, listener: listener, control: control, counters: Counters(counters))
  if segment.hasUnreadOptions {
    guard server.loadOptions() else { return server.drop(.packet) }
    Phases.readOptions()
  }
  let stored = Maps.connections.value(at: scratch.segment)
  var step = Step.begin
  if let stored { step = server.proceed(stored) }
  if step == .begin { step = server.begin() }
  if step == .serve { step = server.serve() }
  if step == .retransmit { step = server.retransmit() }
  if step == .transmit { return server.transmit(stored: stored) }
  if step == .finish { return server.finish(stored: stored) }
  if step.isHandOver { return server.handOver(stored, step) }
  return Verdict(rawValue: step.rawValue)
}

/// What is to be done with a packet: a verdict, or a step that leads to one. The first part of the program, which looks
/// at the segment, and the second, which answers, meet here with nothing on the stack but this number.
struct Step: Equatable {
  var rawValue: Int32

  @inline(__always) static func done(_ verdict: Verdict) -> Step { Step(rawValue: verdict.rawValue) }
  /// There is no connection, or none any more.
  @inline(__always) static var begin: Step { Step(rawValue: 100) }
  @inline(__always) static var serve: Step { Step(rawValue: 101) }
  @inline(__always) static var retransmit: Step { Step(rawValue: 102) }
  @inline(__always) static var finish: Step { Step(rawValue: 103) }
  /// What `scratch.part` says.
  @inline(__always) static var transmit: Step { Step(rawValue: 104) }
  /// Handed over for a reason, which is counted.
  @inline(__always) static func handOver(_ reason: HandoverReason) -> Step { .handOver(code: reason.rawValue) }
  @inline(__always) static func handOver(code: UInt32) -> Step {
    Step(rawValue: firstReason &+ Int32(truncatingIfNeeded: code & UInt32(HandoverReason.count &- 1)))
  }
  /// Handed over before, but its socket is not there yet.
  @inline(__always) static var handOverAgain: Step { Step(rawValue: firstReason &- 1) }
  private static var firstReason: Int32 { 200 }

  @inline(__always) var isHandOver: Bool { rawValue >= Self.handOverAgain.rawValue }
  /// The number of a `HandoverReason`. `nil`: it has been counted.
  @inline(__always) var handoverCode: UInt32? {
    rawValue >= Self.firstReason ? UInt32(truncatingIfNeeded: rawValue &- Self.firstReason) : nil
  }
}

/// One packet of a client, and what is needed to deal with it.
struct Server {
  let packet: PacketContext
  let scratch: Scratch
  let listener: UnsafeMutablePointer<Listener>
  let control: UnsafeMutablePointer<Control>
  let counters: Counters

  @inline(__always) var segment: Segment { scratch.segment.pointee }
  /// The connection as it will be stored.
  @inline(__always) var connection: Connection {
    get { scratch.connection.pointee }
    nonmutating set { scratch.connection.pointee = newValue }
  }

  /// The daemon knows of every change of a file up to two seconds ago. If not, nothing is answered from here.
  @inline(__always) func isFresh(_ now_ns: UInt64) -> Bool {
    // The coarse clock may be a little behind the clock of the heartbeat.
    Int64(bitPattern: now_ns &- control.pointee.heartbeat_ns) < Int64(Limits.heartbeatAge_ns_max)
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
    scratch.reply.pointee = reply
    guard Phases.writeReply(packet) else { return drop(.packet) }
    counters.count(counter)
    return packet.reflect()
  }
}
