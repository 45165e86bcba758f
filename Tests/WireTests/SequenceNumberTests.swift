import Testing
import Wire

@Suite struct SequenceNumberTests {
  static let starts: [UInt32] = [0, 1, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff]

  @Test("order holds around the wrap", arguments: starts)
  func order(start: UInt32) {
    for distance: UInt32 in [1, 2, 1460, 65_535, 0x3fff_ffff, 0x7fff_ffff] {
      let low = SequenceNumber(start)
      let high = SequenceNumber(start &+ distance)
      #expect(low < high && low <= high && high > low && high >= low)
      #expect(!(high < low) && !(high <= low) && !(low > high) && !(low >= high))
      #expect(high - low == distance)
      #expect(low &+ distance == high)
      #expect(high &- distance == low)
    }
  }

  @Test("a number is neither before nor after itself", arguments: starts)
  func equality(start: UInt32) {
    let number = SequenceNumber(start)
    #expect(number <= number && number >= number && !(number < number) && !(number > number))
    #expect(number - number == 0)
  }

  @Test("half the circle away is before, from either side")
  func opposite() {
    let a = SequenceNumber(5)
    let b = SequenceNumber(0x8000_0005)
    #expect(a < b && b < a)
  }
}
