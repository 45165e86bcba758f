/// A packet at tc ingress: `struct __sk_buff` (include/uapi/linux/bpf.h), a program's one argument.
public struct PacketContext {
  public let raw: UnsafeMutableRawPointer
  @inline(__always) public init(_ raw: UnsafeMutableRawPointer) { self.raw = raw }

  /// Bytes of the packet, the link-layer header included.
  @inline(__always) public var length: UInt32 { raw.load(fromByteOffset: 0, as: UInt32.self) }
  /// PACKET_HOST and its like (include/uapi/linux/if_packet.h).
  @inline(__always) public var type: UInt32 { raw.load(fromByteOffset: 4, as: UInt32.self) }
  /// The network protocol, as the type field of an Ethernet header names it.
  @inline(__always) public var networkProtocol: UInt16 {
    UInt16(truncatingIfNeeded: raw.load(fromByteOffset: 16, as: UInt32.self)).bigEndian
  }
  /// A VLAN tag stands in the metadata.
  @inline(__always) public var hasVLANTag: Bool { raw.load(fromByteOffset: 20, as: UInt32.self) != 0 }
  @inline(__always) public var interfaceIndex: UInt32 { raw.load(fromByteOffset: 40, as: UInt32.self) }
  public static var typeHost: UInt32 { 0 }

  /// Bytes in front of the network header: 14 of Ethernet, none on a device that carries bare datagrams (ARPHRD_NONE,
  /// as tun and WireGuard), something else on others.
  @inline(__always) public var linkHeaderLength: Int { Int(Helper.linkHeaderLength(raw)) }

  /// `count` bytes of the packet at an offset, if it has as many; they are made linear where they are not.
  @inline(__always) public func bytes(_ count: Int, at offset: Int) -> UnsafeRawPointer? {
    if let bytes = linear(count, at: offset) { return bytes }
    let end = UInt32(truncatingIfNeeded: offset &+ count)
    if length < end { return nil }
    if Helper.pullData(raw, end) != 0 { return nil }
    return linear(count, at: offset)
  }

  /// Copies bytes out of the packet. False if it has not as many.
  @inline(__always)
  public func load(_ offset: UInt32, to target: UnsafeMutableRawPointer, length: UInt32) -> Bool {
    Helper.loadBytes(raw, offset, target, length) == 0
  }
  /// Copies bytes into the packet. False if it has no room for them.
  @inline(__always)
  public func store(_ offset: UInt32, from source: UnsafeRawPointer, length: UInt32) -> Bool {
    Helper.storeBytes(raw, offset, source, length) == 0
  }
  /// Four bytes of the packet, in its byte order, have been replaced by others: makes the checksum at an offset, which
  /// covers them, say so.
  @inline(__always) public func replaceInChecksum(at offset: UInt32, _ old: UInt32, by new: UInt32) {
    _ = Helper.replaceInChecksum(raw, offset, old, new)
  }
  /// Makes the packet longer or shorter at its end, and one packet on a wire: what was to be segmented is no more. Copies
  /// of a packet sent before are mostly as long as it was, so that is looked at first.
  @inline(__always) public func resize(to length: UInt32) -> Bool {
    (self.length == length && segmentSize == 0) || Helper.changeTail(raw, length) == 0
  }
  /// `gso_size`: bytes of payload in each segment of a packet that the device is to segment; 0: it is one already.
  @inline(__always) private var segmentSize: UInt32 { raw.load(fromByteOffset: 176, as: UInt32.self) }
  /// The largest datagram the packet's device carries, in bytes; `nil` if the kernel does not say.
  @inline(__always) public var deviceMTU: UInt32? {
    var mtu: UInt32 = 0
    return Helper.deviceMTU(raw, &mtu) >= 0 ? mtu : nil
  }

  /// Sends the packet, as it is when the program ends, out of the interface it came from.
  @inline(__always) public func reflect() -> Verdict {
    Verdict(rawValue: Int32(truncatingIfNeeded: Helper.redirect(interfaceIndex)))
  }

  /// Sends a copy of the packet out of the interface it came from, at once. False if it could not be made.
  @inline(__always) public func reflectCopy() -> Bool { Helper.redirectCopy(raw, interfaceIndex) == 0 }

  /// Sends the packet, as it is when the program ends, out of an interface, to the neighbour the routing table names
  /// there for its destination.
  @inline(__always) public func send(toNeighbourBy interfaceIndex: UInt32) -> Verdict {
    Verdict(rawValue: Int32(truncatingIfNeeded: Helper.redirectToNeighbour(interfaceIndex)))
  }

  /// What the kernel knows of the packet's checksum (include/linux/skbuff.h, CHECKSUM_*).
  @inline(__always) public var checksumState: ChecksumState { ChecksumState(rawValue: Helper.checksumBits(raw) & 3) }
}

/// `ip_summed` of a packet.
public struct ChecksumState: Equatable {
  public var rawValue: UInt8
  @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// CHECKSUM_UNNECESSARY or CHECKSUM_PARTIAL: nobody needs to verify it. (CHECKSUM_COMPLETE says only that the
  /// device has summed the packet, not that the sum is right.)
  @inline(__always) public var isTrusted: Bool { rawValue == 1 || rawValue == 3 }
  /// CHECKSUM_PARTIAL: the sum is completed by whoever sends the packet on; the field holds that of the
  /// pseudo-header.
  @inline(__always) public var isPartial: Bool { rawValue == 3 }
}

/// What becomes of the packet (TC_ACT_*, TCX_*).
public struct Verdict: Equatable {
  public var rawValue: Int32
  @inline(__always) public init(rawValue: Int32) { self.rawValue = rawValue }

  /// TCX_NEXT: the next program, then the kernel.
  @inline(__always) public static var next: Verdict { Verdict(rawValue: -1) }
  /// TC_ACT_SHOT.
  @inline(__always) public static var drop: Verdict { Verdict(rawValue: 2) }
  /// TC_ACT_REDIRECT.
  @inline(__always) public static var redirect: Verdict { Verdict(rawValue: 7) }
}

/// CLOCK_MONOTONIC.
public enum Clock {
  @inline(__always) public static var now_ns: UInt64 { Helper.time_ns() }
  /// Right to a few milliseconds, and cheaper.
  @inline(__always) public static var coarse_ns: UInt64 { Helper.coarseTime_ns() }
}

/// Sums of bytes by the kernel's own routine.
public enum ByteSum {
  /// The sum of `length` bytes (a multiple of 4, at most 512) added to `seed`, in 32 bits, not folded.
  @inline(__always)
  public static func add(_ bytes: UnsafeRawPointer, length: UInt32, to seed: UInt32) -> UInt32 {
    UInt32(truncatingIfNeeded: Helper.checksum(bytes, length, seed))
  }
}
