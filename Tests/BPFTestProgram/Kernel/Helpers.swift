// The few helpers and kernel functions the test programs call. The numbers are those of enum bpf_func_id.

typealias MapDefinition = (type: UInt32, key: UInt32, value: UInt32, entries: UInt32, flags: UInt32)
typealias Address = UnsafeRawPointer
typealias MutableAddress = UnsafeMutableRawPointer

/// bpf_map_lookup_elem
@inline(__always)
func mapLookup(_ map: Address, _ key: Address) -> MutableAddress? {
  unsafeBitCast(1, to: (@convention(c) (Address, Address) -> MutableAddress?).self)(map, key)
}

/// bpf_map_update_elem
@inline(__always) @discardableResult
func mapUpdate(_ map: Address, _ key: Address, _ value: Address, _ flags: UInt64) -> Int {
  unsafeBitCast(2, to: (@convention(c) (Address, Address, Address, UInt64) -> Int).self)(map, key, value, flags)
}

/// bpf_ringbuf_reserve
@inline(__always)
func ringReserve(_ map: Address, _ size: UInt64) -> MutableAddress? {
  unsafeBitCast(131, to: (@convention(c) (Address, UInt64, UInt64) -> MutableAddress?).self)(map, size, 0)
}

/// bpf_ringbuf_submit
@inline(__always)
func ringSubmit(_ record: MutableAddress) {
  unsafeBitCast(132, to: (@convention(c) (MutableAddress, UInt64) -> Void).self)(record, 0)
}

/// bpf_ringbuf_discard
@inline(__always)
func ringDiscard(_ record: MutableAddress) {
  unsafeBitCast(133, to: (@convention(c) (MutableAddress, UInt64) -> Void).self)(record, 0)
}

typealias LoopBody = @convention(c) (UInt32, MutableAddress) -> Int

/// bpf_loop
@inline(__always) @discardableResult
func loop(_ count: UInt32, _ body: LoopBody, _ context: MutableAddress) -> Int {
  unsafeBitCast(181, to: (@convention(c) (UInt32, LoopBody, MutableAddress, UInt64) -> Int).self)(
    count, body, context, 0)
}

@_extern(c, "bpf_cast_to_kern_ctx")
func castToKernelContext(_ context: MutableAddress) -> MutableAddress

/// __sk_buff: `len` at 0, `ifindex` at 40, `data` at 76, `data_end` at 80.
struct Packet {
  let context: MutableAddress
  var length: UInt32 { context.load(as: UInt32.self) }
  var interfaceIndex: UInt32 { context.load(fromByteOffset: 40, as: UInt32.self) }
  var start: MutableAddress { address(at: 76) }
  var end: MutableAddress { address(at: 80) }

  // The verifier turns these two words into pointers; compared as pointers they tell it the packet's length.
  private func address(at offset: Int) -> MutableAddress {
    MutableAddress(bitPattern: UInt(context.load(fromByteOffset: offset, as: UInt32.self))).unsafelyUnwrapped
  }
}

/// The verdict "the next program decides" of tcx.
let next: Int32 = -1
