import BPFKernel
import Wire

/// The long parts of every program. A public function that is @used is verified by the kernel once and by itself,
/// wherever it is called from. It takes the packet or nothing, and finds what else it needs in this CPU's memory.
public enum SocketPhases {
  /// Makes the packet the reply in the memory. False: it could not be changed, and is spoilt.
  @inline(__always) public static func writeReply(_ packet: PacketContext) -> Bool { writeSocketReply(packet.raw) != 0 }

  /// Makes the packet the response in the memory's payload. False: it could not be changed, and is spoilt.
  @inline(__always) static func writePayload(_ packet: PacketContext) -> Bool { writeSocketPayload(packet.raw) != 0 }

  /// Reads the options in the memory into the segment there.
  @inline(__always) static func readOptions() { _ = readSocketOptions() }
}

@used @inline(never) public func readSocketOptions() -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  memory.segment.pointee.readOptions(UnsafeRawPointer(memory.options))
  return 1
}

@used @inline(never) public func writeSocketReply(_ context: UnsafeMutableRawPointer) -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  let packet = PacketContext(context)
  guard Reply.turnAround(packet, for: memory.segment, headers: memory.headers) else { return 0 }
  return memory.reply.pointee.write(to: packet, for: memory.segment, headers: memory.headers) ? 1 : 0
}

@used @inline(never) public func writeSocketPayload(_ context: UnsafeMutableRawPointer) -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  return memory.writePayload(to: PacketContext(context)) ? 1 : 0
}
