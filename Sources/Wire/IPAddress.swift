/// An IP address in 16 bytes, in network byte order. One of IPv4 stands there as IPv4-mapped (RFC 4291 section
/// 2.5.5.2), so that behind the reading of a header there is one kind of address.
///
/// Four words and not two: the key of a prefix map begins with a length of 32 bits, and must have no gap behind it.
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
  public var word0: UInt32
  public var word1: UInt32
  public var word2: UInt32
  public var word3: UInt32

  /// `::`
  @inline(__always) public init() {
    word0 = 0
    word1 = 0
    word2 = 0
    word3 = 0
  }

  /// Four words in network byte order.
  @inline(__always) public init(_ word0: UInt32, _ word1: UInt32, _ word2: UInt32, _ word3: UInt32) {
    self.word0 = word0
    self.word1 = word1
    self.word2 = word2
    self.word3 = word3
  }

  /// - Parameter ipv4: network byte order.
  @inline(__always) public init(ipv4: UInt32) {
    word0 = 0
    word1 = 0
    word2 = Self.mappedMark
    word3 = ipv4
  }

  /// - Parameter bytes: 16 bytes as in an IPv6 header.
  @inline(__always) public init(_ bytes: UnsafeRawPointer) {
    word0 = bytes.word32(0)
    word1 = bytes.word32(4)
    word2 = bytes.word32(8)
    word3 = bytes.word32(12)
  }

  /// The third word of every IPv4-mapped address.
  @inline(__always) public static var mappedMark: UInt32 { UInt32(0x0000_ffff).bigEndian }

  @inline(__always) public var isIPv4: Bool { word0 | word1 | (word2 ^ Self.mappedMark) == 0 }
  /// Network byte order; means something only if `isIPv4`.
  @inline(__always) public var ipv4: UInt32 { word3 }

  /// Writes the 16 bytes.
  @inline(__always) public func emit(to bytes: UnsafeMutableRawPointer) {
    bytes.put32(word0, 0)
    bytes.put32(word1, 4)
    bytes.put32(word2, 8)
    bytes.put32(word3, 12)
  }
}

extension Checksum {
  /// Adds an address, as for a pseudo-header. What is mapped in front of one of IPv4 adds 0xffff, which is nothing in
  /// a ones' complement sum that has anything else in it.
  @inline(__always) public mutating func add(_ address: IPAddress) {
    add(address.word0)
    add(address.word1)
    add(address.word2)
    add(address.word3)
  }

  /// Adds the pseudo-header of a TCP segment: that of IPv4 (RFC 9293 section 3.1), whose sum is the same as that of IPv6
  /// (RFC 8200 section 8.1).
  @inline(__always)
  public mutating func addPseudoHeader(_ source: IPAddress, _ destination: IPAddress, segmentLength: UInt16) {
    add(source)
    add(destination)
    add(UInt16(TCPHeader.protocolNumber).bigEndian)
    add(segmentLength.bigEndian)
  }
}
