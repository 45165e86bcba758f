import KernelTestSupport
import Testing
import Wire

@Suite struct HeaderTests {
  static let packet = Packet.tcp(
    from: Endpoint(0xc000_0201, 51_234), to: Endpoint(0xc633_6407, 80), [.psh, .ack], sequence: 0xfeed_beef,
    acknowledgement: 0x0bad_cafe, options: TCPOptionBytes.linux(1460), payload: [1, 2, 3])

  /// At every alignment: packets begin where they like.
  private func withBytes(_ packet: Packet, _ body: (UnsafeRawPointer) -> Void) {
    for shift in 0..<8 {
      ([UInt8](repeating: 0xee, count: shift) + packet.bytes).withUnsafeBytes { body($0.baseAddress! + shift) }
    }
  }

  @Test("Ethernet: the type is read, and a reply has the addresses exchanged")
  func ethernet() {
    withBytes(Self.packet.with { $0.destinationMAC = [1, 2, 3, 4, 5, 6] }) { base in
      #expect(EthernetHeader(base).type == EthernetHeader.typeIPv4)
      var reply = [UInt8](repeating: 0, count: 14)
      reply.withUnsafeMutableBytes { EthernetHeader(base).emitReply(to: $0.baseAddress!) }
      #expect(reply == [2, 0, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 8, 0])
    }
    withBytes(Self.packet.with { $0.etherType = 0x86dd }) { #expect(EthernetHeader($0).type == 0x86dd) }
  }

  @Test("IPv4: every field is read where it is")
  func ipv4() {
    withBytes(Self.packet) { base in
      let header = IPv4Header(base + 14)
      #expect(header.isPlain && !header.isFragment && header.isChecksumRight)
      #expect(header.totalLength == 63)
      #expect(header.proto == IPv4Header.protocolTCP)
      #expect(header.source == UInt32(0xc000_0201).bigEndian)
      #expect(header.destination == UInt32(0xc633_6407).bigEndian)
    }
  }

  @Test(
    "IPv4: fragments are seen, the reserved bit and don't-fragment are not taken for one",
    arguments: [
      (UInt16(0x0000), false), (0x4000, false), (0x8000, false), (0x2000, true), (0x0001, true), (0x1fff, true),
    ])
  func fragments(field: UInt16, isFragment: Bool) {
    withBytes(Self.packet.with { $0.fragment = field }) { #expect(IPv4Header($0 + 14).isFragment == isFragment) }
  }

  @Test("IPv4: options, another version and a wrong checksum are seen")
  func ipv4Oddities() {
    withBytes(Self.packet.with { $0.ipOptions = [1, 1, 1, 0] }) { #expect(!IPv4Header($0 + 14).isPlain) }
    for error: UInt16 in [1, 0x100, 0x7fff, 0xff00] {
      withBytes(Self.packet.with { $0.ipChecksumError = error }) { #expect(!IPv4Header($0 + 14).isChecksumRight) }
    }
  }

  @Test("IPv4: what is emitted is a right header")
  func ipv4Emission() {
    for length: UInt16 in [40, 44, 1500, 15_954, 65_535] {
      var header = [UInt8](repeating: 0xee, count: 20)
      header.withUnsafeMutableBytes {
        IPv4Header.emit(
          to: $0.baseAddress!, source: UInt32(0xc000_0201).bigEndian, destination: UInt32(0xc633_6407).bigEndian,
          totalLength: length)
      }
      #expect(Array(header[0..<2]) == [0x45, 0])
      #expect(header.word16(2) == length)
      #expect(header.word32(4) == 0x0000_4000)
      #expect(Array(header[8..<10]) == [64, 6])
      #expect(header.word32(12) == 0xc000_0201 && header.word32(16) == 0xc633_6407)
      #expect(InternetChecksum.sum(header) == 0xffff)
    }
  }

  @Test("TCP: every field is read where it is")
  func tcp() {
    withBytes(Self.packet) { base in
      let header = TCPHeader(base + 34)
      #expect(header.sourcePort == UInt16(51_234).bigEndian && header.destinationPort == UInt16(80).bigEndian)
      #expect(header.sequence == SequenceNumber(0xfeed_beef))
      #expect(header.acknowledgement == SequenceNumber(0x0bad_cafe))
      #expect(header.headerLength == 40)
      #expect(header.window == 64_240)
      #expect(header.flags.has(TCPFlags.psh) && header.flags.has(TCPFlags.ack) && !header.flags.has(TCPFlags.fin))
    }
  }

  @Test("flags: ECE, CWR, PSH and URG do not make a SYN another thing")
  func flags() {
    for extra: UInt8 in [0, 0x08, 0x20, 0x40, 0x80, 0xe8] {
      #expect(TCPFlags(rawValue: TCPFlags.syn | extra).isOnly(TCPFlags.syn))
      #expect(!TCPFlags(rawValue: TCPFlags.syn | TCPFlags.ack | extra).isOnly(TCPFlags.syn))
      #expect(!TCPFlags(rawValue: TCPFlags.syn | TCPFlags.fin | extra).isOnly(TCPFlags.syn))
      #expect(!TCPFlags(rawValue: TCPFlags.syn | TCPFlags.rst | extra).isOnly(TCPFlags.syn))
    }
  }

  @Test("words are loaded and stored at any alignment")
  func words() {
    var bytes = [UInt8](0..<64)
    bytes.withUnsafeMutableBytes { raw in
      let base = raw.baseAddress!
      for offset in 0..<16 {
        let first = UInt64(offset)
        #expect(UnsafeRawPointer(base).word8(offset) == UInt8(offset))
        #expect(UInt64(UnsafeRawPointer(base).word16(offset)) == first | (first + 1) << 8)
        let word = UnsafeRawPointer(base).word64(offset)
        #expect((0..<8).allSatisfy { word >> UInt64($0 * 8) & 255 == first + UInt64($0) })
      }
      for offset in 24..<40 {
        base.put16(0x0201, offset)
        #expect(raw[offset] == 1 && raw[offset + 1] == 2)
        base.put32(0x0403_0201, offset)
        #expect(UnsafeRawPointer(base).word32(offset) == 0x0403_0201)
        base.put64(0x0807_0605_0403_0201, offset)
        #expect((0..<8).allSatisfy { raw[offset + $0] == UInt8($0 + 1) })
      }
    }
  }
}
