import KernelSockets
import KernelTestSupport
import Testing
import Wire

extension CookieKeys {
  fileprivate func check(_ cookie: SequenceNumber, _ flow: FlowKey, _ clientStart: SequenceNumber) -> CookieCheck {
    proof(of: flow, in: cookie).check(cookie, clientStart: clientStart)
  }
}

@Suite struct CookieTests {
  private static let flow = FlowKey(
    remoteAddress: IPAddress(ipv4: 0x0102_7f00), localAddress: IPAddress(ipv4: 0x0100_007f), remotePort: 0x1234,
    localPort: 0x901f)
  private static func keys(current: UInt32) -> CookieKeys {
    CookieKeys(first: (1, 2), second: (3, 4), current: current)
  }
  private let start = SequenceNumber(0xffff_ff00)

  @Test("a cookie is right for its flow and start, with every size and either key", arguments: 0..<16 as Range<UInt32>)
  func right(sizeIndex: UInt32) {
    for current: UInt32 in [0, 1] {
      let cookie = Self.keys(current: current).proof(of: Self.flow, sizeIndex: sizeIndex).cookie(clientStart: start)
      // The key that signed it is known from the cookie: it stays valid when the other one is in use.
      for later: UInt32 in [0, 1] {
        #expect(Self.keys(current: later).check(cookie, Self.flow, start) == .right)
      }
      #expect(cookie.value >> 31 == current)
      #expect(cookie.value >> 27 & 15 == sizeIndex)
    }
  }

  @Test("a segment that is not the first of its connection is known as ours")
  func otherStart() {
    let cookie = Self.keys(current: 0).proof(of: Self.flow, sizeIndex: 3).cookie(clientStart: start)
    for distance: UInt32 in [1, 2, 100, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff] {
      #expect(Self.keys(current: 0).check(cookie, Self.flow, start &+ distance) == .otherStart)
    }
  }

  @Test("every part of the four-tuple counts")
  func wrongFlow() {
    let cookie = Self.keys(current: 0).proof(of: Self.flow, sizeIndex: 3).cookie(clientStart: start)
    var others = [FlowKey](repeating: Self.flow, count: 10)
    others[0].remoteAddress.word3 ^= 0x0100_0000
    others[1].localAddress.word3 ^= 1
    others[2].remotePort ^= 1
    others[3].localPort ^= 0x8000
    others[4].remoteAddress.word0 ^= 2
    others[5].remoteAddress.word1 ^= 4
    others[6].remoteAddress.word2 ^= 8
    others[7].localAddress.word0 ^= 0x10
    others[8].localAddress.word1 ^= 0x20
    others[9].localAddress.word2 ^= 0x40
    for other in others { #expect(Self.keys(current: 0).check(cookie, other, start) == .wrong) }
  }

  @Test("a cookie of a key that is gone, with another size or the other key's bit is not right")
  func wrongFields() {
    let cookie = Self.keys(current: 0).proof(of: Self.flow, sizeIndex: 3).cookie(clientStart: start)
    let renewed = CookieKeys(first: (9, 9), second: (3, 4), current: 1)
    #expect(renewed.check(cookie, Self.flow, start) != .right)
    for bit in 0..<32 {
      let changed = SequenceNumber(cookie.value ^ (1 << UInt32(bit)))
      #expect(Self.keys(current: 0).check(changed, Self.flow, start) != .right, "bit \(bit)")
    }
  }

  @Test("guesses are right no more often than 27 bits allow")
  func guesses() {
    var random = SplitMix64(seed: 3)
    var right = 0
    var otherStart = 0
    for _ in 0..<50_000 {
      let guess = SequenceNumber(UInt32(truncatingIfNeeded: random.next()))
      switch Self.keys(current: 0).check(guess, Self.flow, start) {
      case .right: right += 1
      case .otherStart: otherStart += 1
      case .wrong: break
      }
    }
    #expect(right == 0)
    // One in 2048 by chance.
    #expect((5...80).contains(otherStart), "\(otherStart)")
  }
}

@Suite struct SegmentSizesTests {
  private static let sizes: [UInt16] = [
    536, 1024, 1220, 1300, 1340, 1360, 1380, 1400, 1420, 1440, 1448, 1452, 1460, 4036, 8940, 16_000,
  ]

  @Test("what a client offers is rounded down to a size a cookie carries")
  func rounding() {
    for offered: UInt16 in 536...UInt16.max {
      let index = SegmentSizes.index(of: offered)
      let size = SegmentSizes.size(in: SequenceNumber(index << 27 | 0x8000_ffff))
      if size != Self.sizes.last(where: { $0 <= offered }) {
        Issue.record("\(offered) becomes \(size)")
        return
      }
    }
  }

  @Test("an offer of less is taken for the least") func tooSmall() {
    #expect(SegmentSizes.index(of: 0) == 0 && SegmentSizes.index(of: 535) == 0)
  }
}
