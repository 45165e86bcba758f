import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Wire

/// The bytes behind the header: copied to where the parser reads them, and their checksum.
extension Server {
  @inline(__always) var isPayloadLoaded: Bool { segment.payloadLength <= Limits.headBytesMax }

  /// Copies the payload, if it is not too long to be a request this part understands. False: the packet is not what
  /// its headers say.
  @inline(__always) func loadPayload() -> Bool {
    if segment.payloadLength == 0 || !isPayloadLoaded { return true }
    scratch.head.length = Int(segment.payloadLength)
    let length = scratch.payloadLength.bounded(by: UInt32(Limits.headBytesMax))
    guard packet.load(segment.payloadOffset, to: scratch.base, length: length) else { return false }
    // Sums are taken four bytes at a time.
    (scratch.base + Int(length)).put32(0, 0)
    return true
  }

  /// Copies the TCP options, of which there are some.
  @inline(__always) func loadOptions() -> Bool {
    let length = scratch.optionsLength.bounded(by: 64)
    return packet.load(
      segment.transportOffset &+ UInt32(TCPHeader.byteCount), to: scratch.options, length: length)
  }

  /// Whether the TCP checksum is right, verified where neither the device nor the kernel has (RFC 9293 section 3.1).
  /// A payload too long to be copied is judged by the kernel, which gets it in any case.
  @inline(__always) func isChecksumRight() -> Bool {
    if packet.checksumState.isTrusted || !isPayloadLoaded { return true }
    var checksum = segment.headerSum
    if segment.headerLength != 20 {
      guard loadOptions() else { return false }
      let options = UnsafeRawPointer(scratch.options)
      for word in 0..<10 where word &* 4 < Int(segment.headerLength) &- 20 { checksum.add(options.word32(word &* 4)) }
    }
    // A SYN may carry data (RFC 7413); it is not read, so it is not summed either: load it first.
    guard loadPayload() else { return false }
    var left = (UInt32(segment.payloadLength) &+ 3) & 0xffc
    var position = 0
    for _ in 0..<5 {
      if left == 0 { break }
      let step = left < 512 ? left : 512
      checksum.add(ByteSum.add(UnsafeRawPointer(scratch.base + position), length: step, to: 0))
      left = left &- step
      position = position &+ 512
    }
    return checksum.folded == 0xffff
  }
}
