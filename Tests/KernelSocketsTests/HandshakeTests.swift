import KernelTestSupport
import Testing
import Wire

@testable import KernelSockets

/// The MSS option, wherever it is.
@Suite struct HandshakeTests {
  /// Options filled up to whole words with zeros, in a buffer that holds something else behind them.
  private func offeredSize(_ options: [TCPOptionBytes], behind: UInt8 = 0xee) -> UInt16 {
    var bytes = options.flatMap(\.bytes)
    while bytes.count % 4 != 0 { bytes.append(0) }
    let segment = segment(.syn, sequence: 0, acknowledgement: 0, headerLength: UInt16(20 + bytes.count))
    var buffer = [UInt8](repeating: behind, count: Handshake.optionsRoom)
    buffer.replaceSubrange(0..<bytes.count, with: bytes)
    return buffer.withUnsafeBytes { Handshake.offeredSize(segment, options: $0.baseAddress!) }
  }

  @Test("in any order of the usual options")
  func anyOrder() {
    let others: [TCPOptionBytes] = [.selectiveAcknowledgement, .timestamps, .noOperation, .windowScale(7)]
    for place in 0...others.count {
      var options = others
      options.insert(.segmentSize(1460), at: place)
      #expect(offeredSize(options) == 1460, "at \(place)")
      #expect(offeredSize(options.reversed()) == 1460, "at \(place), reversed")
    }
    for size: UInt16 in [1, 535, 536, 1460, 0x0402, 65_495, 65_535] {
      #expect(offeredSize([.segmentSize(size)]) == size)
    }
    #expect(offeredSize([TCPOptionBytes](repeating: .noOperation, count: 36) + [.segmentSize(1460)]) == 1460)
  }

  @Test("none is offered")
  func none() {
    #expect(offeredSize([]) == 0)
    #expect(offeredSize([.selectiveAcknowledgement, .timestamps]) == 0)
    #expect(offeredSize([TCPOptionBytes](repeating: .noOperation, count: 40)) == 0)
  }

  @Test("what stands behind the end of the options does not count")
  func behindTheEnd() {
    #expect(offeredSize([.raw([0]), .raw([2, 4, 5, 0xb4])]) == 0)
    // Kind 2 in the last byte, with a length and a size behind the options.
    #expect(offeredSize([.raw([1, 1, 1, 2])], behind: 4) == 0)
    #expect(offeredSize([.raw([1, 1, 2, 4])], behind: 4) == 0)
    // An unknown option that leads out of the header must not lead back in.
    #expect(offeredSize([.raw([1, 1, 1, 1, 1, 1, 253, 58, 2, 4, 5, 0xb4])], behind: 2) == 0)
    #expect(offeredSize([.raw([253, 66, 1, 1, 2, 4, 5, 0xb4])], behind: 2) == 0)
  }

  @Test("malformed options end the search")
  func malformed() {
    #expect(offeredSize([.raw([253, 0]), .segmentSize(1460)]) == 0)
    #expect(offeredSize([.raw([253, 1]), .segmentSize(1460)]) == 0)
    #expect(offeredSize([.raw([1, 2, 3, 1])]) == 0)
    #expect(offeredSize([.raw([253, 255]), .segmentSize(1460)]) == 0)
  }

  @Test("an MSS option of another length is no MSS option")
  func wrongLength() {
    #expect(offeredSize([.raw([1, 2, 3, 5, 1, 1])]) == 0)
    #expect(offeredSize([.raw([1, 2, 6, 5, 0xb4, 0, 0, 1])]) == 0)
    #expect(offeredSize([.raw([2, 6, 5, 0xb4, 0, 0, 2, 4, 2, 24])]) == 536)
  }
}
