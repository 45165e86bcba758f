import KernelTestSupport
import Testing
import Wire

@testable import KernelSockets

/// What is known of losses: RFC 5681, RFC 6582, RFC 6675.
@Suite struct RecoveryTests {
  private let start: UInt32 = 0xffff_f000
  private let length: UInt32 = 9000

  /// A request of 100 bytes is being answered in seven segments.
  private func answering(closes: Bool = false, options: AgreedOptions = .none) -> Connection {
    var connection = Connection(
      receiveNext: SequenceNumber(500), sendNext: SequenceNumber(start), segmentSizeMax: 1460)
    connection.options = options
    connection.answer(
      segment([.psh, .ack], sequence: 500, acknowledgement: start, payload: 100, options: stamped(options)),
      responseLength: length, closes: closes)
    return connection
  }

  private func stamped(_ options: AgreedOptions) -> SegmentOptions {
    var stamped = SegmentOptions()
    if options.hasTimestamps { stamped.present = SegmentOptions.Present.timestamps }
    return stamped
  }

  private func ack(_ bytes: UInt32, sackEnd: UInt32? = nil, options: AgreedOptions = .none) -> Segment {
    var made = stamped(options)
    if let sackEnd {
      made.present |= SegmentOptions.Present.sack
      made.sackEnd = start &+ sackEnd
    }
    return segment(.ack, sequence: 600, acknowledgement: start &+ bytes, options: made)
  }

  @Test("a response of one segment acknowledges its request, one of several owes it")
  func owes() {
    var connection = answering()
    #expect(connection.owesAcknowledgement)
    connection.answer(
      segment([.psh, .ack], sequence: 600, acknowledgement: start &+ length, payload: 100), responseLength: 1460,
      closes: false)
    #expect(!connection.owesAcknowledgement)
  }

  @Test("three duplicates are a loss; in a burst's last two segments fewer are, as fewer can come")
  func duplicates() {
    for (have, needed) in [
      (UInt32(1460), 3), (length - 3000, 3), (length - 2920, 2), (length - 1460, 1), (length - 1, 1),
    ] {
      var connection = answering()
      #expect(connection.arrive(ack(have)) == .quiet)
      for _ in 1..<needed { #expect(connection.arrive(ack(have)) == .quiet) }
      #expect(connection.arrive(ack(have)) == .retransmit, "\(have)")
      #expect(connection.sendUnacknowledged == SequenceNumber(start &+ have) && connection.congestionWindow == 5)
      for _ in 0..<9 { #expect(connection.arrive(ack(have)) == .quiet) }
    }
  }

  @Test("with SACK a block that reaches the end is a loss at once, and no block is none")
  func sack() {
    let options = AgreedOptions(rawValue: 0x5f)
    var connection = answering(options: options)
    #expect(connection.arrive(ack(1448, options: options)) == .quiet)
    for _ in 0..<9 { #expect(connection.arrive(ack(1448, options: options)) == .quiet) }
    #expect(connection.arrive(ack(1448, sackEnd: 4344, options: options)) == .quiet)
    #expect(connection.arrive(ack(1448, sackEnd: length, options: options)) == .retransmit)
    connection = answering(options: options)
    #expect(connection.arrive(ack(1448, options: options)) == .quiet)
    for end: UInt32 in [4344, 5792] { #expect(connection.arrive(ack(1448, sackEnd: end, options: options)) == .quiet) }
    #expect(connection.arrive(ack(1448, sackEnd: 7240, options: options)) == .retransmit)
  }

  @Test("the first acknowledgement, if it shows that the end has come before a part in the middle")
  func endFirst() {
    let options = AgreedOptions(rawValue: 0x5f)
    var connection = answering(options: options)
    #expect(connection.arrive(ack(2896, sackEnd: length, options: options)) == .retransmit)
    #expect(connection.sendUnacknowledged == SequenceNumber(start &+ 2896) && connection.recovery == Recovery.fast)
  }

  @Test("a partial acknowledgement shows the next loss, a whole one ends the recovery")
  func partial() {
    var connection = answering()
    for _ in 0..<3 { _ = connection.arrive(ack(0)) }
    #expect(connection.recovery == Recovery.fast)
    #expect(connection.arrive(ack(2920)) == .retransmit && connection.arrive(ack(5840)) == .retransmit)
    #expect(connection.arrive(ack(length)) == .acknowledge && connection.recovery == Recovery.none)
    #expect(connection.state == ConnectionState.idle && connection.arrive(ack(length)) == .quiet)
  }

  @Test("the request again is a time-out: a window of one segment, which grows with what goes well")
  func timeout() {
    var connection = answering()
    let again = segment([.psh, .ack], sequence: 500, acknowledgement: start &+ 2920, payload: 100)
    #expect(connection.arrive(again) == .retransmit && connection.congestionWindow == 1)
    #expect(connection.sendUnacknowledged == SequenceNumber(start &+ 2920) && connection.burstMax == 1457)
    #expect(connection.arrive(ack(length)) == .acknowledge)
    var at: UInt32 = length
    for window: UInt8 in 2...10 {
      connection.answer(
        segment([.psh, .ack], sequence: connection.receiveNext.value, acknowledgement: start &+ at, payload: 100),
        responseLength: 100, closes: false)
      at += 100
      let all = segment(.ack, sequence: connection.receiveNext.value, acknowledgement: start &+ at)
      #expect(connection.arrive(all) == .quiet && connection.congestionWindow == window)
    }
    #expect(connection.congestionWindow == 10)
  }

  /// A time-out after `bytes` have come; `timeoutTick` is set to 1000.
  private func timedOut(have bytes: UInt32, options: AgreedOptions) -> Connection {
    var connection = answering(options: options)
    let again = segment(
      [.psh, .ack], sequence: 500, acknowledgement: start &+ bytes, payload: 100, options: stamped(options))
    #expect(connection.arrive(again) == .retransmit && connection.congestionWindow == 1)
    #expect(connection.windowBeforeTimeout == 10)
    connection.timeoutTick = 1000
    return connection
  }

  private func ack(_ bytes: UInt32, sackEnd: UInt32? = nil, echo: UInt32) -> Segment {
    var made = ack(bytes, sackEnd: sackEnd, options: AgreedOptions(rawValue: 0x5f))
    made.options.echo = echo
    return made
  }

  @Test("a time-out was only a delay if what was sent before it is acknowledged after it: the window is as it was")
  func spuriousTimeout() {
    let options = AgreedOptions(rawValue: 0x5f)
    for echo: UInt32 in [999, 0x1_03e7, 0xffff_ff00] {
      var connection = timedOut(have: 0, options: options)
      #expect(connection.arrive(ack(length, echo: echo)) == .acknowledge && connection.congestionWindow == 10)
      connection = timedOut(have: 0, options: options)
      #expect(connection.arrive(ack(2896, echo: echo)) == .quiet && connection.recovery == Recovery.none)
      #expect(connection.congestionWindow == 10)
      #expect(connection.arrive(ack(length, echo: echo)) == .acknowledge)
    }
    // What was sent again is acknowledged, or nobody can tell.
    for echo: UInt32 in [1000, 1001, 0x1_03e8] {
      var connection = timedOut(have: 0, options: options)
      #expect(connection.arrive(ack(2896, echo: echo)) == .retransmit && connection.recovery == Recovery.timeout)
      #expect(connection.arrive(ack(length, echo: echo)) == .acknowledge && connection.congestionWindow == 2)
    }
    var connection = timedOut(have: 0, options: .none)
    #expect(connection.arrive(ack(length)) == .acknowledge && connection.congestionWindow == 1)
  }

  @Test("a second time-out does not forget the window before the first")
  func secondTimeout() {
    var connection = timedOut(have: 0, options: AgreedOptions(rawValue: 0x5f))
    let again = segment(
      [.psh, .ack], sequence: 500, acknowledgement: start, payload: 100, options: ack(0, echo: 0).options)
    #expect(connection.arrive(again) == .retransmit)
    #expect(connection.windowBeforeTimeout == 10 && connection.timeoutTick == 1000)
  }

  @Test("after a time-out a block above what is missing is a loss again; one below it is no more than a duplicate")
  func lostAgain() {
    var connection = timedOut(have: 1448, options: AgreedOptions(rawValue: 0x5f))
    #expect(connection.arrive(ack(1448, sackEnd: 1448, echo: 1000)) == .quiet)
    connection = timedOut(have: 1448, options: AgreedOptions(rawValue: 0x5f))
    #expect(connection.arrive(ack(1448, sackEnd: 2896, echo: 1000)) == .retransmit)
    // The second of a pair.
    #expect(connection.arrive(ack(1448, sackEnd: 4344, echo: 1000)) == .quiet)
    #expect(connection.arrive(ack(1448, sackEnd: 2896, echo: 1000)) == .retransmit)
    #expect(connection.arrive(ack(4344, echo: 1000)) == .retransmit)
  }

  @Test("RFC 6928: what may be sent at once")
  func initialWindow() {
    for (size, window) in [(UInt16(536), UInt32(5360)), (1024, 10_240), (1460, 14_600), (4036, 14_600), (8960, 17_920)]
    {
      let connection = Connection(
        receiveNext: SequenceNumber(0), sendNext: SequenceNumber(0), segmentSizeMax: size)
      #expect(connection.burstMax == window - 3)
    }
  }

  @Test("a request with FIN whose response is all there is acknowledged, and the connection is over")
  func halfClosed() {
    var connection = Connection(
      receiveNext: SequenceNumber(500), sendNext: SequenceNumber(start), segmentSizeMax: 1460)
    connection.answer(
      segment([.psh, .ack, .fin], sequence: 500, acknowledgement: start, payload: 100), responseLength: length,
      closes: true)
    let all = segment(.ack, sequence: 601, acknowledgement: start &+ length &+ 1)
    #expect(connection.arrive(all) == .acknowledge)
    #expect(connection.position(answering: all) == (SequenceNumber(start &+ length &+ 1), SequenceNumber(601)))
    #expect(connection.arrive(segment(.syn, sequence: 9000, acknowledgement: 0)) == .reopen)
  }
}
