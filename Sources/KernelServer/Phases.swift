import BPFKernel
import Contract
import HTTPHead
import KernelSockets

/// The long parts of the program. A public function that is @used is verified by the kernel once and by itself,
/// wherever it is called from. It takes no arguments, and finds what it needs in this CPU's scratch memory.
enum Phases {
  /// Reads the head in the scratch memory. If it is not understood, the reason is in the scratch memory.
  @inline(__always) static func parseHead() -> Bool { parseScratchHead() != 0 }

  /// Looks for the object the head in the scratch memory asks for. What is found is in the scratch memory.
  @inline(__always) static func findObject() -> Bool { findScratchObject() != 0 }

  /// Reads the options in the scratch memory into the segment there.
  @inline(__always) static func readOptions() { _ = readScratchOptions() }
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
