import KernelTestSupport
import Testing
import Wire

@testable import KernelSockets

/// The options of a segment, wherever they are.
@Suite struct SegmentOptionsTests {
  /// Options filled up to whole words with zeros, in a buffer that holds something else behind them.
  private func read(_ options: [TCPOptionBytes], behind: UInt8 = 0xee) -> SegmentOptions {
    var bytes = options.flatMap(\.bytes)
    while bytes.count % 4 != 0 { bytes.append(0) }
    var segment = segment(.syn, sequence: 0, acknowledgement: 0, headerLength: UInt16(20 + bytes.count))
    var buffer = [UInt8](repeating: behind, count: Segment.optionsRoom)
    buffer.replaceSubrange(0..<bytes.count, with: bytes)
    buffer.withUnsafeBytes { segment.readOptions($0.baseAddress!) }
    return segment.options
  }
  private func offeredSize(_ options: [TCPOptionBytes], behind: UInt8 = 0xee) -> UInt16 {
    read(options, behind: behind).segmentSize
  }

  @Test("in any order of the usual options")
  func anyOrder() {
    let others: [TCPOptionBytes] = [
      .selectiveAcknowledgement, .timestamps(0x0102_0304, echo: 0x0506_0708), .noOperation, .windowScale(7),
    ]
    for place in 0...others.count {
      var options = others
      options.insert(.segmentSize(1460), at: place)
      for order in [options, options.reversed()] {
        let read = read(order)
        #expect(read.segmentSize == 1460 && read.windowShift == 7, "at \(place)")
        #expect(read.timestamp == 0x0102_0304 && read.echo == 0x0506_0708, "at \(place)")
        #expect(read.hasTimestamps && read.hasSACKPermitted && read.hasWindowScale, "at \(place)")
      }
    }
    for size: UInt16 in [1, 535, 536, 1460, 0x0402, 65_495, 65_535] {
      #expect(offeredSize([.segmentSize(size)]) == size)
    }
    #expect(offeredSize([TCPOptionBytes](repeating: .noOperation, count: 36) + [.segmentSize(1460)]) == 1460)
  }

  @Test("none is there")
  func none() {
    #expect(read([]).present == 0 && offeredSize([]) == 0)
    #expect(offeredSize([.selectiveAcknowledgement, .timestamps(1)]) == 0)
    #expect(offeredSize([TCPOptionBytes](repeating: .noOperation, count: 40)) == 0)
  }

  @Test("a window scale above 14 counts as 14 (RFC 7323 section 2.3)")
  func windowScale() {
    for shift: UInt8 in [0, 1, 13, 14] { #expect(read([.windowScale(shift)]).windowShift == shift) }
    for shift: UInt8 in [15, 16, 255] { #expect(read([.windowScale(shift)]).windowShift == 14) }
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

  @Test("an option of another length is another option")
  func wrongLength() {
    #expect(offeredSize([.raw([1, 2, 3, 5, 1, 1])]) == 0)
    #expect(offeredSize([.raw([1, 2, 6, 5, 0xb4, 0, 0, 1])]) == 0)
    #expect(offeredSize([.raw([2, 6, 5, 0xb4, 0, 0, 2, 4, 2, 24])]) == 536)
    #expect(read([.raw([8, 8, 0, 0, 0, 1, 0, 0]), .raw([3, 4, 7, 7]), .raw([4, 3, 0])]).present == 0)
  }
}

/// What is agreed on in a handshake, and how it travels without being stored.
@Suite struct AgreedOptionsTests {
  private func offered(
    timestamps: Bool = true, sack: Bool = true, shift: UInt8? = 7, segmentSize: UInt16 = 1460
  ) -> SegmentOptions {
    var options = SegmentOptions()
    options.segmentSize = segmentSize
    if timestamps { options.present |= SegmentOptions.Present.timestamps }
    if sack { options.present |= SegmentOptions.Present.sackPermitted }
    if let shift {
      options.present |= SegmentOptions.Present.windowScale
      options.windowShift = shift
    }
    return options
  }

  @Test("all that was offered and is allowed is agreed on, and comes back in the timestamp")
  func roundTrip() {
    for shift: UInt8? in [nil, 0, 1, 7, 14] {
      for sack in [false, true] {
        let agreed = AgreedOptions(offered: offered(sack: sack, shift: shift), allowed: 7)
        #expect(agreed.hasTimestamps && agreed.hasSACK == sack && agreed.byteCount == 12)
        #expect(agreed.hasWindowScale == (shift != nil) && agreed.windowShift == shift ?? 0)
        for now: UInt32 in [0, 1, 0x7fff_ffff, 0xffff_ffff, 0x1234_5678] {
          for age: UInt32 in [0, 1, 128_000] {
            #expect(echoed(now &- age &+ agreed.clockOffset(5), at: now) == agreed)
          }
        }
      }
    }
  }

  /// What a timestamp says that comes back; the flow's own offset is 5.
  private func echoed(_ echo: UInt32, at time: UInt32) -> AgreedOptions {
    var options = SegmentOptions()
    options.present = SegmentOptions.Present.timestamps
    options.echo = echo
    var first = segment([.psh, .ack], sequence: 1, acknowledgement: 1, payload: 1, options: options)
    first.time = time
    return AgreedOptions(echoedBy: first, clockOffset: 5)
  }

  @Test("what comes back and was never sent, or too long ago, speaks of no more than timestamps")
  func notOurs() {
    let all = AgreedOptions(offered: offered(), allowed: 7)
    for age: UInt32 in [128_001, 0x3ff_ffff, 0x200_0000, 0 &- 1] {
      #expect(echoed(1000 &- age &+ all.clockOffset(5), at: 1000).rawValue == 0x4f, "\(age)")
    }
  }

  @Test("what is not allowed is not agreed on")
  func allowed() {
    #expect(AgreedOptions(offered: offered(), allowed: 0) == .none)
    #expect(!AgreedOptions(offered: offered(), allowed: 3).hasSACK)
    #expect(!AgreedOptions(offered: offered(), allowed: 5).hasWindowScale)
    // Without timestamps there is nothing the others could travel in.
    #expect(AgreedOptions(offered: offered(), allowed: 6) == .none)
    #expect(AgreedOptions(offered: offered(timestamps: false), allowed: 7) == .none)
    #expect(AgreedOptions(offered: offered(segmentSize: 0), allowed: 7) == .none)
  }

  @Test("a segment without timestamps speaks of a connection without options")
  func withoutTimestamps() {
    #expect(
      AgreedOptions(echoedBy: segment(.ack, sequence: 1, acknowledgement: 1, payload: 1), clockOffset: 5) == .none)
  }
}
