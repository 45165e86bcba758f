/// The kernel's helper functions, by their numbers (enum bpf_func_id in include/uapi/linux/bpf.h). A call of the
/// constant N through a C function pointer compiles to the instruction `call N`.
///
/// The host has a file of the same name whose functions act on a simulated kernel.
enum Helper {
  typealias Pointer = UnsafeRawPointer
  typealias MutablePointer = UnsafeMutableRawPointer

  /// bpf_map_lookup_elem: a pointer to the value, which stays valid until the program ends.
  @inline(__always) static func mapLookup(_ map: Pointer, _ key: Pointer) -> MutablePointer? {
    unsafeBitCast(1, to: (@convention(c) (Pointer, Pointer) -> MutablePointer?).self)(map, key)
  }
  /// bpf_map_update_elem: 0, or a negative errno.
  @inline(__always)
  static func mapUpdate(_ map: Pointer, _ key: Pointer, _ value: Pointer, _ flags: UInt64) -> Int64 {
    unsafeBitCast(2, to: (@convention(c) (Pointer, Pointer, Pointer, UInt64) -> Int64).self)(map, key, value, flags)
  }
  /// bpf_map_delete_elem.
  @inline(__always) static func mapDelete(_ map: Pointer, _ key: Pointer) -> Int64 {
    unsafeBitCast(3, to: (@convention(c) (Pointer, Pointer) -> Int64).self)(map, key)
  }
  /// bpf_ktime_get_ns: CLOCK_MONOTONIC.
  @inline(__always) static func time_ns() -> UInt64 {
    unsafeBitCast(5, to: (@convention(c) () -> UInt64).self)()
  }
  /// bpf_ktime_get_coarse_ns: CLOCK_MONOTONIC_COARSE, right to a few milliseconds and cheap.
  @inline(__always) static func coarseTime_ns() -> UInt64 {
    unsafeBitCast(160, to: (@convention(c) () -> UInt64).self)()
  }
  /// bpf_skb_store_bytes.
  @inline(__always)
  static func storeBytes(_ context: MutablePointer, _ offset: UInt32, _ from: Pointer, _ length: UInt32) -> Int64 {
    unsafeBitCast(9, to: (@convention(c) (MutablePointer, UInt32, Pointer, UInt32, UInt64) -> Int64).self)(
      context, offset, from, length, 0)
  }
  /// bpf_l4_csum_replace: four bytes the checksum covers, but not as part of the pseudo-header.
  @inline(__always)
  static func replaceInChecksum(_ context: MutablePointer, _ offset: UInt32, _ old: UInt32, _ new: UInt32) -> Int64 {
    unsafeBitCast(11, to: (@convention(c) (MutablePointer, UInt32, UInt64, UInt64, UInt64) -> Int64).self)(
      context, offset, UInt64(old), UInt64(new), 4)
  }
  /// bpf_skb_load_bytes.
  @inline(__always)
  static func loadBytes(_ context: Pointer, _ offset: UInt32, _ to: MutablePointer, _ length: UInt32) -> Int64 {
    unsafeBitCast(26, to: (@convention(c) (Pointer, UInt32, MutablePointer, UInt32) -> Int64).self)(
      context, offset, to, length)
  }
  /// bpf_skb_change_tail: grows with zeros or cuts. Pointers into the packet are void afterwards.
  @inline(__always) static func changeTail(_ context: MutablePointer, _ length: UInt32) -> Int64 {
    unsafeBitCast(38, to: (@convention(c) (MutablePointer, UInt32, UInt64) -> Int64).self)(context, length, 0)
  }
  /// bpf_skb_pull_data: makes the first bytes linear. Pointers into the packet are void afterwards.
  @inline(__always) static func pullData(_ context: MutablePointer, _ length: UInt32) -> Int64 {
    unsafeBitCast(39, to: (@convention(c) (MutablePointer, UInt32) -> Int64).self)(context, length)
  }
  /// bpf_check_mtu of the packet's own device, asked only for the MTU it tells. Negative if it cannot tell.
  @inline(__always) static func deviceMTU(_ context: MutablePointer, _ mtu: MutablePointer) -> Int64 {
    unsafeBitCast(163, to: (@convention(c) (MutablePointer, UInt32, MutablePointer, Int32, UInt64) -> Int64).self)(
      context, 0, mtu, 0, 0)
  }
  /// bpf_clone_redirect, to the egress of an interface. Pointers into the packet are void afterwards.
  @inline(__always) static func redirectCopy(_ context: MutablePointer, _ interfaceIndex: UInt32) -> Int64 {
    unsafeBitCast(13, to: (@convention(c) (MutablePointer, UInt32, UInt64) -> Int64).self)(context, interfaceIndex, 0)
  }
  /// bpf_redirect, to the egress of an interface.
  @inline(__always) static func redirect(_ interfaceIndex: UInt32) -> Int64 {
    unsafeBitCast(23, to: (@convention(c) (UInt32, UInt64) -> Int64).self)(interfaceIndex, 0)
  }
  /// bpf_redirect_neigh: the kernel looks up the next hop on that interface and fills in the link-layer header.
  @inline(__always) static func redirectToNeighbour(_ interfaceIndex: UInt32) -> Int64 {
    unsafeBitCast(152, to: (@convention(c) (UInt32, Pointer?, Int32, UInt64) -> Int64).self)(interfaceIndex, nil, 0, 0)
  }
  /// bpf_csum_diff from nothing: the sum of `length` bytes (a multiple of 4, at most 512 on kernels before 6.13).
  @inline(__always) static func checksum(_ bytes: Pointer, _ length: UInt32, _ seed: UInt32) -> Int64 {
    unsafeBitCast(28, to: (@convention(c) (Pointer?, UInt32, Pointer, UInt32, UInt32) -> Int64).self)(
      nil, 0, bytes, length, seed)
  }
  /// bpf_skc_lookup_tcp in the packet's own network namespace. The socket must be released.
  @inline(__always)
  static func lookupSocket(_ context: MutablePointer, _ tuple: Pointer, _ size: UInt32) -> MutablePointer? {
    unsafeBitCast(
      99, to: (@convention(c) (MutablePointer, Pointer, UInt32, UInt64, UInt64) -> MutablePointer?).self)(
        context, tuple, size, ~0, 0)
  }
  /// bpf_sk_release.
  @inline(__always) static func releaseSocket(_ socket: MutablePointer) {
    _ = unsafeBitCast(86, to: (@convention(c) (MutablePointer) -> Int64).self)(socket)
  }
  /// bpf_skc_to_tcp_sock.
  @inline(__always) static func tcpSocket(_ socket: MutablePointer) -> MutablePointer? {
    unsafeBitCast(137, to: (@convention(c) (MutablePointer) -> MutablePointer?).self)(socket)
  }
  /// `is_mptcp` of a listener's `struct tcp_sock`: bpf_sk_assign_tcp_reqsk refuses such a listener.
  @inline(__always) static func isMultipath(_ socket: MutablePointer) -> Bool {
    if isMPTCPOffset == 0 { return false }
    guard let listener = tcpSocket(socket) else { return false }
    return listener.load(fromByteOffset: Int(truncatingIfNeeded: isMPTCPOffset), as: UInt8.self) != 0
  }
  /// bpf_ringbuf_output.
  @inline(__always) static func ringOutput(_ ring: Pointer, _ data: Pointer, _ length: UInt64) -> Int64 {
    unsafeBitCast(130, to: (@convention(c) (Pointer, Pointer, UInt64, UInt64) -> Int64).self)(ring, data, length, 0)
  }
  /// bpf_sk_assign_tcp_reqsk (net/core/filter.c, Linux 6.9).
  @inline(__always)
  static func assignRequestSocket(
    _ context: MutablePointer, _ listener: MutablePointer, _ attributes: Pointer, _ size: Int32
  ) -> Int32 {
    bpf_sk_assign_tcp_reqsk(context, listener, attributes, size)
  }
  /// bpf_sk_assign of a program that is asked for a listener.
  @inline(__always) static func assignListener(_ lookup: MutablePointer, _ listener: MutablePointer) -> Int64 {
    unsafeBitCast(124, to: (@convention(c) (MutablePointer, MutablePointer, UInt64) -> Int64).self)(
      lookup, listener, 0)
  }
  /// The byte of the packet's `struct sk_buff` that holds `ip_summed`, shifted so that the field is its low bits.
  @inline(__always) static func checksumBits(_ context: MutablePointer) -> UInt8 {
    guard let skb = bpf_cast_to_kern_ctx(context) else { return 0 }
    let byte = skb.load(fromByteOffset: Int(truncatingIfNeeded: ipSummedOffset), as: UInt8.self)
    return byte >> (ipSummedShift & 7)
  }
  /// From the packet's link-layer header to its network header, in bytes.
  @inline(__always) static func linkHeaderLength(_ context: MutablePointer) -> UInt16 {
    guard let skb = bpf_cast_to_kern_ctx(context) else { return 0 }
    let network = skb.load(fromByteOffset: Int(truncatingIfNeeded: networkHeaderOffset), as: UInt16.self)
    return network &- skb.load(fromByteOffset: Int(truncatingIfNeeded: macHeaderOffset), as: UInt16.self)
  }
}

@_extern(c, "bpf_sk_assign_tcp_reqsk")
func bpf_sk_assign_tcp_reqsk(
  _ context: UnsafeMutableRawPointer, _ socket: UnsafeMutableRawPointer, _ attributes: UnsafeRawPointer,
  _ size: Int32
) -> Int32

@_extern(c, "bpf_cast_to_kern_ctx")
func bpf_cast_to_kern_ctx(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer?

/// Where `ip_summed` is in `struct sk_buff`: kernels differ, so the loader writes it from the running kernel's BTF
/// before the constants are frozen.
@section(".rodata.kernel") @used nonisolated(unsafe) var ipSummedOffset: UInt32 = 0
@section(".rodata.kernel") @used nonisolated(unsafe) var ipSummedShift: UInt8 = 0
/// Where `network_header` and `mac_header` are, in the same way.
@section(".rodata.kernel") @used nonisolated(unsafe) var networkHeaderOffset: UInt32 = 0
@section(".rodata.kernel") @used nonisolated(unsafe) var macHeaderOffset: UInt32 = 0
/// Where `is_mptcp` is in `struct tcp_sock`, in the same way; 0 in kernels without MPTCP.
@section(".rodata.kernel") @used nonisolated(unsafe) var isMPTCPOffset: UInt32 = 0
