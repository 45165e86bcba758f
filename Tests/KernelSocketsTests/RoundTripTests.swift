import KernelTestSupport
import Testing
import Wire

@testable import KernelSockets

/// What a connection knows of its round trips, and what it lets a segment say that is handed over.
@Suite struct RoundTripTests {
  private let agreed = AgreedOptions(rawValue: 0x5f)
  /// When everything comes.
  private let now: UInt32 = 1000

  private func stamped(_ echo: UInt32) -> Segment {
    var options = SegmentOptions()
    options.present = SegmentOptions.Present.timestamps
    options.echo = echo
    var stamped = segment([.psh, .ack], sequence: 1, acknowledgement: 1, payload: 10, options: options)
    stamped.time = now
    return stamped
  }

  private func connection(noting ages: [UInt32], options: AgreedOptions? = nil) -> Connection {
    var connection = Connection(
      receiveNext: SequenceNumber(1), sendNext: SequenceNumber(1), segmentSizeMax: 1460)
    connection.options = options ?? agreed
    for age in ages { connection.noteRoundTrip(stamped(now &- age)) }
    return connection
  }

  @Test("the shortest one counts; what is ahead of the clock, or older than a minute, is none")
  func shortest() {
    #expect(connection(noting: []).roundTrip == RoundTrip.unknown)
    #expect(connection(noting: [300, 40, 5000]).roundTrip == 40)
    #expect(connection(noting: [0]).roundTrip == 0)
    // The lower half of these alone would be short.
    #expect(connection(noting: [0x1_0001, 0xffff_0001, .max]).roundTrip == RoundTrip.unknown)
    #expect(connection(noting: [1], options: AgreedOptions.none).roundTrip == RoundTrip.unknown)
  }

  @Test("an acknowledgement of everything, with data or bare, is a round trip; one of a part is none")
  func acknowledgements() {
    var connection = connection(noting: [])
    var request = stamped(now &- 70)
    #expect(connection.arrive(request) == .request && connection.roundTrip == 70)
    connection.answer(request, responseLength: 4000, closes: false)
    var part = stamped(now &- 20)
    part.payloadLength = 0
    part.sequence = connection.receiveNext
    part.acknowledgement = SequenceNumber(1 + 1448)
    _ = connection.arrive(part)
    #expect(connection.roundTrip == 70)
    part.acknowledgement = connection.sendNext
    _ = connection.arrive(part)
    #expect(connection.roundTrip == 20)
    request.sequence = connection.receiveNext
    request.acknowledgement = connection.sendNext
    #expect(connection.arrive(request) == .request && connection.roundTrip == 20)
  }

  @Test("a segment says the shortest round trip, and nothing where none is known")
  func corrected() {
    let table: [(known: UInt32, age: UInt32, said: UInt32?)] = [
      (40, 40, nil), (40, 41, 40), (0, 5000, 0), (250, 250, nil), (250, 9000, 250),
      (251, 251, 0 &- RoundTrip.ahead), (5000, 5000, 0 &- RoundTrip.ahead),
      // The client makes it up.
      (40, 0xffff_fff0, 40),
    ]
    for row in table {
      let echo = connection(noting: [row.known]).correctedEcho(of: stamped(now &- row.age))
      #expect(echo == row.said.map { now &- $0 }, "\(row)")
    }
    #expect(connection(noting: []).correctedEcho(of: stamped(now)) == now &+ RoundTrip.ahead)
    #expect(connection(noting: [], options: AgreedOptions.none).correctedEcho(of: stamped(0)) == nil)
  }
}
