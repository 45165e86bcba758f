import BPFKernel
import Wire

/// The options of a segment, as far as they are known here.
public struct SegmentOptions: BitwiseCopyable, Sendable {
  /// SEG.TSval and SEG.TSecr (RFC 7323 section 3.2).
  public var timestamp: UInt32 = 0
  public var echo: UInt32 = 0
  /// The right edge of the first SACK block, which is the latest (RFC 2018 section 4).
  public var sackEnd: UInt32 = 0
  /// The maximum segment size; 0: none.
  public var segmentSize: UInt16 = 0
  public var windowShift: UInt8 = 0
  /// Bits of `Present`.
  public var present: UInt8 = 0

  @inline(__always) public init() {}

  @inline(__always) public var hasTimestamps: Bool { present & Present.timestamps != 0 }
  @inline(__always) public var hasWindowScale: Bool { present & Present.windowScale != 0 }
  @inline(__always) public var hasSACKPermitted: Bool { present & Present.sackPermitted != 0 }
  @inline(__always) public var hasSACK: Bool { present & Present.sack != 0 }

  public enum Present {
    public static var timestamps: UInt8 { 1 }
    public static var windowScale: UInt8 { 2 }
    public static var sackPermitted: UInt8 { 4 }
    public static var sack: UInt8 { 8 }
  }

  /// Two no-operations and the kind and length of timestamps, as loaded from memory: how the option is aligned by
  /// nearly everybody, in every segment but a SYN.
  static var alignedTimestamps: UInt32 { 0x0a08_0101 }
  /// The same for SACK; the upper byte is its length.
  static var alignedSACK: UInt32 { 0x0005_0101 }
}

extension Segment {
  /// Options as they are aligned by nearly everybody, in every segment but a SYN: timestamps, then perhaps SACK.
  @inline(__always) mutating func readAlignedOptions(_ packet: PacketContext) {
    let place = Int(transportOffset & 63) &+ TCPHeader.byteCount
    let timestampsLength = Int(TCPOption.timestampsByteCount)
    guard let option = packet.bytes(timestampsLength, at: place) else { return }
    if option.word32(0) != SegmentOptions.alignedTimestamps { return }
    options.timestamp = option.word32(4).bigEndian
    options.echo = option.word32(8).bigEndian
    options.present = SegmentOptions.Present.timestamps
    if Int(headerLength) < TCPHeader.byteCount &+ timestampsLength &+ 12 { return }
    guard let block = packet.bytes(12, at: place &+ timestampsLength) else { return }
    if block.word32(0) & 0x00ff_ffff != SegmentOptions.alignedSACK { return }
    options.sackEnd = block.word32(8).bigEndian
    options.present |= SegmentOptions.Present.sack
  }

  /// Room for the options and a word behind them, for `readOptions`.
  public static var optionsRoom: Int { 72 }

  /// Whether there are options `read` has not understood.
  @inline(__always) public var hasUnreadOptions: Bool {
    Int(headerLength) > TCPHeader.byteCount && !options.hasTimestamps
  }

  /// Reads options in any order and alignment from a copy of them. What is malformed ends the search, as in the
  /// kernel (tcp_parse_options).
  @inline(__always) public mutating func readOptions(_ bytes: UnsafeRawPointer) {
    let length = Int(headerLength) &- TCPHeader.byteCount
    var position = 0
    for _ in 0..<40 {
      if position >= length { break }
      let kind = bytes.word8(position)
      if kind == TCPOption.end { break }
      if kind == TCPOption.noOperation {
        position = (position &+ 1) & 63
        continue
      }
      let optionLength = Int(bytes.word8((position &+ 1) & 63))
      // Behind the last option stands what an earlier packet has left.
      if optionLength < 2 || position &+ optionLength > length { break }
      read(kind: kind, length: optionLength, value: bytes + ((position &+ 2) & 63))
      position = (position &+ optionLength) & 63
    }
  }

  @inline(__always) private mutating func read(kind: UInt8, length: Int, value: UnsafeRawPointer) {
    if kind == TCPOption.maximumSegmentSize && length == 4 {
      options.segmentSize = value.word16(0).bigEndian
    } else if kind == TCPOption.windowScale && length == 3 {
      let shift = value.word8(0)
      options.windowShift = shift < TCPOption.windowShiftMax ? shift : TCPOption.windowShiftMax
      options.present |= SegmentOptions.Present.windowScale
    } else if kind == TCPOption.sackPermitted && length == 2 {
      options.present |= SegmentOptions.Present.sackPermitted
    } else if kind == TCPOption.timestamps && length == 10 {
      options.timestamp = value.word32(0).bigEndian
      options.echo = value.word32(4).bigEndian
      options.present |= SegmentOptions.Present.timestamps
    } else if kind == TCPOption.sack && length >= 10 {
      options.sackEnd = value.word32(4).bigEndian
      options.present |= SegmentOptions.Present.sack
    }
  }
}
