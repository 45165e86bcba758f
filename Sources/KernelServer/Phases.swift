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

  /// Makes the packet the reply in the scratch memory. False: it could not be changed, and is spoilt.
  @inline(__always) static func writeReply(_ packet: PacketContext) -> Bool { writeScratchReply(packet.raw) != 0 }

  /// Makes the packet the segment with the part of the response that is in the scratch memory. False: the packet or the
  /// object changed under our hands, and the packet is spoilt.
  @inline(__always) static func writePart(_ packet: PacketContext) -> Bool { writeScratchPart(packet.raw) != 0 }

  /// The folded sum of as many bytes as the part has of the body, which begin there in the record.
  @inline(__always) static func sumBody(from position: Int, _ scratch: Scratch) -> UInt16 {
    scratch.sumPosition.pointee = UInt32(truncatingIfNeeded: position)
    scratch.sumLeft.pointee = UInt32(scratch.bodyLength.stored)
    return UInt16(truncatingIfNeeded: sumScratchBody())
  }

  /// Reads the options in the scratch memory into the segment there.
  @inline(__always) static func readOptions() { _ = readScratchOptions() }

  /// Chooses the form in which the object in the scratch memory answers the head there. If there is none, the reason is
  /// in the scratch memory, else the form.
  @inline(__always) static func chooseForm() -> Bool { chooseScratchForm() != 0 }
}

/// 1 if the head is understood.
@used @inline(never) public func parseScratchHead() -> UInt32 {
  guard let memory = Maps.scratch, let control = Maps.control else { return 0 }
  let scratch = Scratch(memory)
  guard let reason = scratch.head.parse(hashSeed: control.pointee.pathSeed) else { return 1 }
  scratch.reason.pointee = reason.rawValue
  return 0
}

/// 1 if the object is found: its unit and generation are in the scratch memory.
@used @inline(never) public func findScratchObject() -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  return Record.find(Scratch(memory)) ? 1 : 0
}

@used @inline(never) public func readScratchOptions() -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  let scratch = Scratch(memory)
  scratch.segment.pointee.readOptions(UnsafeRawPointer(scratch.options))
  return 1
}

/// 1 if there is an answer.
@used @inline(never) public func chooseScratchForm() -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  let scratch = Scratch(memory)
  guard let reason = Selection.choose(scratch) else { return 1 }
  scratch.reason.pointee = reason.rawValue
  return 0
}

/// Where it is, is in the scratch memory, so that each step is the same to the verifier.
@used @inline(never) public func sumScratchBody() -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  let scratch = Scratch(memory)
  guard let record = Record(unit: scratch.connection.pointee.source) else { return 0 }
  var sum = Checksum()
  for _ in 0..<(Transmission.copyBytesMax / 512) {
    let left = scratch.sumLeft.pointee
    if left < 4 { break }
    let step = left < 512 ? left & 0x1fc : 512
    let bytes = UnsafeRawPointer(record.base) + Int(scratch.sumPosition.pointee & 0xffff)
    sum.add(ByteSum.add(bytes, length: step, to: 0))
    scratch.sumPosition.pointee = scratch.sumPosition.pointee &+ step
    scratch.sumLeft.pointee = left &- step
  }
  let last = (UnsafeRawPointer(record.base) + Int(scratch.sumPosition.pointee & 0xffff)).word32(0)
  sum.add(last & ((1 &<< ((scratch.sumLeft.pointee & 3) &* 8)) &- 1))
  return UInt32(sum.folded)
}

@used @inline(never) public func writeScratchReply(_ context: UnsafeMutableRawPointer) -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  let scratch = Scratch(memory)
  let packet = PacketContext(context)
  guard Reply.turnAround(packet, for: scratch.segment, headers: scratch.headers) else { return 0 }
  return scratch.reply.pointee.write(to: packet, for: scratch.segment, headers: scratch.headers) ? 1 : 0
}

@used @inline(never) public func writeScratchPart(_ context: UnsafeMutableRawPointer) -> UInt32 {
  guard let memory = Maps.scratch else { return 0 }
  return PartWriter(packet: PacketContext(context), scratch: Scratch(memory)).write() ? 1 : 0
}
