/// The Ethernet header at the front of a packet (IEEE 802.3); a view whose length has been checked.
public struct EthernetHeader {
  public static var byteCount: Int { 14 }

  public let base: UnsafeRawPointer
  @inline(__always) public init(_ base: UnsafeRawPointer) { self.base = base }

  /// Writes the header of an answer: the addresses change places.
  @inline(__always) public func emitReply(to reply: UnsafeMutableRawPointer) {
    reply.put32(base.word32(6), 0)
    reply.put16(base.word16(10), 4)
    reply.put32(base.word32(0), 6)
    reply.put16(base.word16(4), 10)
    reply.put16(base.word16(12), 12)
  }
}

/// The protocol of a packet, as the type field of an Ethernet header names it.
public enum EtherType {
  public static var ipv4: UInt16 { 0x0800 }
  public static var ipv6: UInt16 { 0x86dd }
}
