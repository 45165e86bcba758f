// One entry for each thing the loader must get right.

/// Counts packets by length (hash), on this CPU (per-CPU array) and in all (variable in .data).
@section("tc") @used @c(counts)
func counts(_ context: MutableAddress) -> Int32 {
  let packet = Packet(context: context)
  var zero: UInt32 = 0
  if let counters = mapLookup(&countersMap, &zero) {
    counters.assumingMemoryBound(to: UInt32.self).pointee &+= 1
    (counters + 8).assumingMemoryBound(to: UInt32.self).pointee &+= packet.length
  }
  var length = packet.length
  if let count = mapLookup(&lengthsMap, &length) {
    count.assumingMemoryBound(to: UInt64.self).pointee &+= 1
  } else {
    var one: UInt64 = 1
    mapUpdate(&lengthsMap, &length, &one, 0)
  }
  runs &+= 1
  return next
}

/// Returns what the loader wrote into a constant.
@section("tc") @used @c(verdict)
func verdict(_ context: MutableAddress) -> Int32 {
  verdictConstant
}

/// Returns the index of the interface the packet came in by.
@section("tc") @used @c(interface_index)
func interfaceIndex(_ context: MutableAddress) -> Int32 {
  Int32(truncatingIfNeeded: Packet(context: context).interfaceIndex)
}

/// Writes two events and discards one between them.
@section("tc") @used @c(reports)
func reports(_ context: MutableAddress) -> Int32 {
  let length = Packet(context: context).length
  report(length, 1)
  if let record = ringReserve(&eventsMap, 24) { ringDiscard(record) }
  report(length, 2)
  return next
}

@inline(__always)
func report(_ length: UInt32, _ sequence: UInt32) {
  guard let record = ringReserve(&eventsMap, 12) else { return }
  let words = record.assumingMemoryBound(to: UInt32.self)
  words[0] = length
  words[1] = sequence
  words[2] = 0xfeed
  ringSubmit(record)
}

/// Adds 0, 1, ... 99 by a callback of bpf_loop.
@section("tc") @used @c(loops)
func loops(_ context: MutableAddress) -> Int32 {
  var sum: UInt64 = 0
  loop(
    100,
    { index, sum in
      sum.assumingMemoryBound(to: UInt64.self).pointee &+= UInt64(index)
      return 0
    }, &sum)
  return Int32(truncatingIfNeeded: sum)
}

/// Calls a function that is not inlined, which calls another one.
@section("tc") @used @c(calls)
func calls(_ context: MutableAddress) -> Int32 {
  let length = Packet(context: context).length
  return Int32(truncatingIfNeeded: double(length) &+ double(length &+ 1))
}

@inline(never)
func double(_ number: UInt32) -> UInt32 { addOne(number) &* 2 }

@inline(never)
func addOne(_ number: UInt32) -> UInt32 { number &* number &+ 1 }

/// Reads sk_buff.len through a kernel function; its offset comes from the kernel's BTF.
@section("tc") @used @c(kernel_length)
func kernelLength(_ context: MutableAddress) -> Int32 {
  castToKernelContext(context).load(fromByteOffset: Int(truncatingIfNeeded: lengthOffset), as: Int32.self)
}

/// Adds one to each of the first 8 bytes of the mapped array.
@section("tc") @used @c(arena)
func arena(_ context: MutableAddress) -> Int32 {
  var zero: UInt32 = 0
  guard let bytes = mapLookup(&arenaMap, &zero) else { return 0 }
  for index in 0..<8 {
    bytes.storeBytes(of: bytes.load(fromByteOffset: index, as: UInt8.self) &+ 1, toByteOffset: index, as: UInt8.self)
  }
  return next
}

/// Doubles the packet's first byte: the packet that comes out differs.
@section("tc") @used @c(doubles)
func doubles(_ context: MutableAddress) -> Int32 {
  let packet = Packet(context: context)
  guard packet.start + 1 <= packet.end else { return 2 }
  let byte = packet.start.assumingMemoryBound(to: UInt8.self)
  byte.pointee = byte.pointee &* 2
  return next
}

/// Reads the packet without asking how long it is.
@section("tc") @used @c(careless)
func careless(_ context: MutableAddress) -> Int32 {
  let bytes = Packet(context: context).start.assumingMemoryBound(to: UInt8.self)
  return Int32(bytes[40])
}

/// Adds so that it may overflow; whether the addition is reached depends on a constant.
@section("tc") @used @c(traps)
func traps(_ context: MutableAddress) -> Int32 {
  var sum = Packet(context: context).length
  if trapArmed != 0 {
    sum = sum * 16_777_216 + 1
  }
  return Int32(truncatingIfNeeded: sum)
}
