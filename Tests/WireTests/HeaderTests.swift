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
      var reply = [UInt8](repeating: 0, count: 14)
      reply.withUnsafeMutableBytes { EthernetHeader(base).emitReply(to: $0.baseAddress!) }
      #expect(reply == [2, 0, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 8, 0])
    }
  }

  @Test("IPv4: every field is read where it is")
  func ipv4() {
    withBytes(Self.packet) { base in
      let header = IPv4Header(base + 14)
      #expect(header.isPlain && !header.isFragment && header.isChecksumRight)
      #expect(header.totalLength == 63)
      #expect(header.proto == TCPHeader.protocolNumber)
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

  static let packet6 = Packet.tcp(
    from: Endpoint(0x0102_0304, 51_234, network: [0x20, 1, 0xd, 0xb8, 0, 1, 2, 3, 4, 5, 6, 7]),
    to: Endpoint(0x0506_0708, 80, network: [0x20, 1, 0xd, 0xb8, 9, 8, 7, 6, 5, 4, 3, 2]), [.psh, .ack],
    sequence: 0xfeed_beef, options: TCPOptionBytes.linux(1440), payload: [1, 2, 3])

  @Test("IPv6: every field is read where it is, and an extension header is seen")
  func ipv6() {
    withBytes(Self.packet6) { base in
      let header = IPv6Header(base + 14)
      #expect(header.isVersion6 && header.payloadLength == 43 && header.nextHeader == TCPHeader.protocolNumber)
      func bytes(_ address: IPAddress) -> [UInt8] { withUnsafeBytes(of: address) { Array($0) } }
      #expect(bytes(header.source) == Self.packet6.source.addressBytes)
      #expect(bytes(header.destination) == Self.packet6.destination.addressBytes)
    }
    withBytes(Self.packet) { #expect(!IPv6Header($0 + 14).isVersion6) }
    withBytes(Self.packet6.with { $0.ipOptions = [1] }) { #expect(IPv6Header($0 + 14).nextHeader == 60) }
    withBytes(Self.packet6.with { $0.fragment = 0x2000 }) { #expect(IPv6Header($0 + 14).nextHeader == 44) }
  }

  @Test("IPv6: what is emitted is a right header")
  func ipv6Emission() {
    let (source, destination) = (Self.packet6.source.addressBytes, Self.packet6.destination.addressBytes)
    for length: UInt16 in [20, 24, 1440, 15_954, 65_535] {
      var header = [UInt8](repeating: 0xee, count: 40)
      header.withUnsafeMutableBytes {
        IPv6Header.emit(
          to: $0.baseAddress!, source: Self.address(source), destination: Self.address(destination),
          payloadLength: length)
      }
      #expect(header.word32(0) == 0x6000_0000 && header.word16(4) == length && Array(header[6..<8]) == [6, 64])
      #expect(Array(header[8..<24]) == source && Array(header[24..<40]) == destination)
    }
  }

  static func address(_ bytes: [UInt8]) -> IPAddress { bytes.withUnsafeBytes { IPAddress($0.baseAddress!) } }

  @Test("an IPv4 address is known in its mapped form, and nothing else is taken for one")
  func mapped() {
    let address = IPAddress(ipv4: UInt32(0xc000_0201).bigEndian)
    #expect(address == Self.address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]))
    #expect(address.isIPv4 && address.ipv4 == UInt32(0xc000_0201).bigEndian)
    for index in 0..<12 {
      var bytes = withUnsafeBytes(of: address) { Array($0) }
      bytes[index] ^= 0x10
      #expect(!Self.address(bytes).isIPv4, "byte \(index)")
    }
    #expect(!IPAddress().isIPv4)
  }

  @Test("the sum of a pseudo-header is the one its family's RFC tells, for any addresses and length")
  func pseudoHeaders() {
    var random = SplitMix64(seed: 6)
    for _ in 0..<2000 {
      let isIPv6 = random.below(2) == 0
      let addresses = (random.bytes(isIPv6 ? 16 : 4), random.bytes(isIPv6 ? 16 : 4))
      let length = UInt16(truncatingIfNeeded: random.next())
      var header = addresses.0 + addresses.1
      if isIPv6 { header.append32(UInt32(length)) }
      header += isIPv6 ? [0, 0, 0, 6] : [0, 6]
      if !isIPv6 { header.append16(length) }
      func wide(_ bytes: [UInt8]) -> IPAddress {
        Self.address(isIPv6 ? bytes : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] + bytes)
      }
      var checksum = Checksum()
      checksum.addPseudoHeader(wide(addresses.0), wide(addresses.1), segmentLength: length)
      #expect(checksum.folded.bigEndian == InternetChecksum.sum(header))
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
