import Wire

/// The options of a SYN, copied to a buffer of `optionsRoom` bytes whose content the verifier does not follow.
public enum Handshake {
  /// The maximum segment size the client offers, or what it must be taken to be (RFC 9293 section 3.7.1);
  /// 0 if the options are malformed.
  @inline(__always) public static func offeredSize(_ segment: Segment, options bytes: UnsafeRawPointer) -> UInt16 {
    let length = Int(segment.headerLength) &- TCPHeader.byteCount
    if length == 0 { return 0 }
    // Nearly every client puts it first.
    if bytes.word16(0) == 0x0402 { return bytes.word16(2).bigEndian }
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
