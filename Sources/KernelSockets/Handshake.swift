import BPFKernel
import Wire

/// The options of a SYN, read into `options`, a buffer of 64 bytes whose content the verifier does not follow.
public enum Handshake {
  /// The maximum segment size the client offers, or what it must be taken to be (RFC 9293 section 3.7.1);
  /// 0 if the options are malformed.
  @inline(__always)
  public static func offeredSize(
    _ packet: PacketContext, _ segment: Segment, options: UnsafeMutableRawPointer
  ) -> UInt16 {
    let length = UInt32(segment.headerLength) &- UInt32(TCPHeader.byteCount)
    if length == 0 { return 0 }
    guard length <= 40 else { return 0 }
    let offset = UInt32(Segment.headersByteCount)
    guard packet.load(offset, to: options, length: length) else { return 0 }
    let bytes = UnsafeRawPointer(options)
    // Nearly every client puts it first.
    if bytes.word16(0) == 0x0402 { return bytes.word16(2).bigEndian }
    var position = 0
    for _ in 0..<40 {
      if position >= Int(length) { break }
      let kind = bytes.word8(position)
      if kind == TCPOption.end { break }
      if kind == TCPOption.noOperation {
        position = (position &+ 1) & 63
        continue
      }
      let optionLength = Int(bytes.word8((position &+ 1) & 63))
      if optionLength < 2 { break }
      if kind == TCPOption.maximumSegmentSize && optionLength == 4 {
        return (bytes + ((position &+ 2) & 63)).word16(0).bigEndian
      }
      position = (position &+ optionLength) & 63
    }
    return 0
  }

  /// Room for the options and a word behind them.
  public static var optionsRoom: Int { 72 }
}
