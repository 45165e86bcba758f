import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// The long parts of the program. A public function that is @used is verified by the kernel once and by itself,
/// wherever it is called from. It takes the packet or nothing, and finds what else it needs in this CPU's scratch memory.
enum Phases {
  /// Reads the head in the scratch memory. If it is not understood, the reason is in the scratch memory.
  @inline(__always) static func parseHead() -> Bool { parseScratchHead() != 0 }

  /// Looks for the object the head in the scratch memory asks for. What is found is in the scratch memory.
  @inline(__always) static func findObject() -> Bool { findScratchObject() != 0 }

  /// Makes the packet the segment with the part of the response that is in the scratch memory. False: the packet or the
  /// object changed under our hands, and the packet is spoilt.
  @inline(__always) static func writePart(_ packet: PacketContext) -> Bool { writeScratchPart(packet.raw) != 0 }

  /// The folded sum of as many bytes as the part has of the body, which begin there in the record.
  @inline(__always) static func sumBody(from position: Int, _ memory: SocketMemory) -> UInt16 {
    memory.sumPosition.pointee = UInt32(truncatingIfNeeded: position)
    memory.sumLeft.pointee = UInt32(memory.bodyLength.stored)
    return UInt16(truncatingIfNeeded: sumScratchBody())
  }

  /// Chooses the form in which the object in the scratch memory answers the head there. If there is none, the reason is
  /// in the scratch memory, else the form.
  @inline(__always) static func chooseForm() -> Bool { chooseScratchForm() != 0 }
}

/// 1 if the head is understood.
@used @inline(never) public func parseScratchHead() -> UInt32 {
  guard let memory = SocketMemory.current, let control = Maps.control else { return 0 }
  guard let reason = memory.head.parse(hashSeed: control.pointee.pathSeed) else { return 1 }
  memory.reason.pointee = reason.rawValue
  return 0
}

/// 1 if the object is found: its unit and generation are in the scratch memory.
@used @inline(never) public func findScratchObject() -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  return Record.find(memory) ? 1 : 0
}

/// 1 if there is an answer.
@used @inline(never) public func chooseScratchForm() -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  guard let reason = Selection.choose(memory) else { return 1 }
  memory.reason.pointee = reason.rawValue
  return 0
}

/// Where it is, is in the scratch memory, so that each step is the same to the verifier.
@used @inline(never) public func sumScratchBody() -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  guard let record = Record(unit: memory.connection.pointee.source) else { return 0 }
  var sum = Checksum()
  for _ in 0..<(Transmission.copyBytesMax / 512) {
    let left = memory.sumLeft.pointee
    if left < 4 { break }
    let step = left < 512 ? left & 0x1fc : 512
    let bytes = UnsafeRawPointer(record.base) + Int(memory.sumPosition.pointee & 0xffff)
    sum.add(ByteSum.add(bytes, length: step, to: 0))
    memory.sumPosition.pointee = memory.sumPosition.pointee &+ step
    memory.sumLeft.pointee = left &- step
  }
  let last = (UnsafeRawPointer(record.base) + Int(memory.sumPosition.pointee & 0xffff)).word32(0)
  sum.add(last & ((1 &<< ((memory.sumLeft.pointee & 3) &* 8)) &- 1))
  return UInt32(sum.folded)
}

@used @inline(never) public func writeScratchPart(_ context: UnsafeMutableRawPointer) -> UInt32 {
  guard let memory = SocketMemory.current else { return 0 }
  return PartWriter(packet: PacketContext(context), memory: memory).write() ? 1 : 0
}
