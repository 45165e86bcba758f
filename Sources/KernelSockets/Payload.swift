import BPFKernel
import Wire

/// The bytes behind the header: copied to where the server reads them, and their checksum.
extension SocketServer {
  /// Whether the data are in `memory.payload`: not if they are more than `SocketMemory.payloadBytesMax`.
  @inline(__always) public var isPayloadLoaded: Bool { segment.payloadLength <= SocketMemory.payloadBytesMax }

  /// Copies the payload, if it is not too long to be a request this part understands. False: the packet is not what
  /// its headers say.
  @inline(__always) func loadPayload() -> Bool {
    if segment.payloadLength == 0 || !isPayloadLoaded { return true }
    let length = memory.payloadLength.bounded(by: UInt32(SocketMemory.payloadBytesMax))
    guard packet.load(segment.payloadOffset, to: memory.payload, length: length) else { return false }
    // Sums are taken four bytes at a time.
    (memory.payload + Int(length)).put32(0, 0)
    return true
  }

  /// Copies the TCP options, of which there are some.
  @inline(__always) func loadOptions() -> Bool {
    let length = memory.optionsLength.bounded(by: 64)
    return packet.load(
      segment.transportOffset &+ UInt32(TCPHeader.byteCount), to: memory.options, length: length)
  }

  /// Whether the TCP checksum is right, verified where neither the device nor the kernel has (RFC 9293 section 3.1).
  /// A payload too long to be copied is judged by the kernel, which gets it in any case.
  @inline(never) func isChecksumRight() -> Bool {
    if packet.checksumState.isTrusted || !isPayloadLoaded { return true }
    var checksum = segment.headerSum
    if segment.headerLength != 20 {
      guard loadOptions() else { return false }
      let options = UnsafeRawPointer(memory.options)
      for word in 0..<10 where word &* 4 < Int(segment.headerLength) &- 20 { checksum.add(options.word32(word &* 4)) }
    }
    // A SYN may carry data (RFC 7413); it is not read, so it is not summed either: load it first.
    guard loadPayload() else { return false }
    memory.addPayload(UInt32(segment.payloadLength), to: &checksum)
    return checksum.folded == 0xffff
  }
}

extension SocketMemory {
  /// Adds the first bytes of the payload to a sum; behind the last one stand zeros.
  @inline(__always) func addPayload(_ length: UInt32, to checksum: inout Checksum) {
    var left = (length &+ 3) & 0xffc
    var position = 0
    for _ in 0..<5 {
      if left == 0 { break }
      let step = left < 512 ? left : 512
      checksum.add(ByteSum.add(UnsafeRawPointer(payload + position), length: step, to: 0))
      left = left &- step
      position = position &+ 512
    }
  }
}
