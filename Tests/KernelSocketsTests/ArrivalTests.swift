import KernelTestSupport
import Testing
import Wire

@testable import KernelSockets

/// The table of ARCHITECTURE.md for the states a connection's own memory knows: every segment in every one of them.
///
/// One request of 100 bytes was answered with 1000: the client's next byte has the number 5000 and ours 9000, both
/// counted from a base that puts the wrap anywhere.
@Suite struct ArrivalTests {
  enum State: String, CaseIterable, Sendable {
    case idle, answering
    /// Our FIN rode on the response.
    case closing
    /// And the client's has come: TIME-WAIT.
    case closed
    /// The client closed first, with a FIN of its own: LAST-ACK.
    case lastAcknowledgement
    /// The client's FIN came with its request, ours went with the response.
    case requestedAndClosed
  }

  enum Kind: String, CaseIterable, Sendable {
    case syn, newerSyn, olderSyn, synAck, synFin
    case ack, ackOfPart, ackOfNothing, ackNeverSent, newerAck, withoutAck
    case request, requestUnacknowledged, requestFin, requestNeverSent
    case repeated, repeatedGrown, repeatedShorter, repeatedAcknowledged, repeatedFin
    case older, overlapping, probe, probeOfOneByte, newer
    case fin, finUnacknowledged, olderFin, olderFinUnacknowledged, newerFin
    case rst, rstAck, rstInWindow, rstBehindWindow, olderRst, rstAtRequest
  }

  struct Cell: Sendable, CustomTestStringConvertible {
    let state: State
    let kind: Kind
    let expected: Arrival
    var testDescription: String { "\(state.rawValue) x \(kind.rawValue) -> \(expected)" }
  }

  @Test("a cell of the table", arguments: cells)
  func cell(_ cell: Cell) {
    for base: UInt32 in [0, 0xffff_ec78, 0xffff_dcd8, 0x7fff_ec78, 0x7fff_dcd8, 0xffff_fff0] {
      var connection = Self.connection(cell.state, base)
      let before = connection
      let segment = Self.segment(cell.kind, for: connection, base)
      #expect(connection.arrive(segment) == cell.expected, "base \(base)")
      Self.expectChange(cell, before, connection)
    }
  }

  @Test("every cell of the table is there")
  func complete() {
    #expect(Self.cells.count == State.allCases.count * Kind.allCases.count)
    #expect(Set(Self.cells.map { "\($0.state) \($0.kind)" }).count == Self.cells.count)
  }

  /// Only two arrivals change what is remembered.
  private static func expectChange(_ cell: Cell, _ before: Connection, _ after: Connection) {
    var expected = before
    let acknowledges: Set<Kind> = [.ack, .request, .requestFin, .fin]
    if cell.state == .answering && acknowledges.contains(cell.kind) { expected.state = ConnectionState.idle }
    if cell.state == .closing && cell.kind == .fin {
      expected.receiveNext = before.receiveNext &+ 1
      expected.peerClosed = 1
    }
    #expect(bytes(expected) == bytes(after))
  }

  /// But for what `RecoveryTests` look at.
  private static func bytes(_ connection: Connection) -> [UInt8] {
    var connection = connection
    connection.sendUnacknowledged = SequenceNumber(0)
    connection.lastWindow = 0
    connection.congestionWindow = 0
    connection.recovery = 0
    return withUnsafeBytes(of: connection) { Array($0) }
  }

  /// Only the client repeats: what our ACK has acknowledged, it does not.
  @Test("a request is not acknowledged without its response", arguments: State.allCases)
  func position(_ state: State) {
    let base: UInt32 = 0xffff_ec78
    let connection = Self.connection(state, base)
    let isUnseen = state != .idle && state != .closed
    for kind in Kind.allCases {
      let segment = Self.segment(kind, for: connection, base)
      let position = connection.position(answering: segment)
      if isUnseen && segment.acknowledgement != connection.sendNext {
        #expect(position.sequence == connection.responseSequence, "\(kind)")
        #expect(position.acknowledgement == connection.requestSequence, "\(kind)")
      } else {
        #expect(position.sequence == connection.sendNext, "\(kind)")
        #expect(position.acknowledgement == connection.receiveNext, "\(kind)")
      }
    }
    let last = SequenceNumber(base &+ (state == .lastAcknowledgement ? 5000 : 4900))
    #expect(connection.requestSequence == last)
  }

  // MARK: The table

  static let cells: [Cell] = State.allCases.flatMap { state in
    Kind.allCases.map { Cell(state: state, kind: $0, expected: expected(state, $0)) }
  }

  private static func expected(_ state: State, _ kind: Kind) -> Arrival {
    switch kind {
    // RFC 5961 section 4: no SYN is believed, but one that reopens what is over (RFC 9293 section 3.6.1).
    case .syn, .olderSyn, .synAck, .synFin: return .challenge
    case .newerSyn: return state == .idle || state == .answering || state == .closing ? .challenge : .reopen
    // RFC 5961 section 3.2.
    case .rst, .rstAck: return .forget
    case .rstInWindow: return .challenge
    // Also at the number that is announced as long as our response, or our FIN, may be unseen.
    case .rstAtRequest:
      return state == .answering || state == .closing || state == .requestedAndClosed ? .forget : .quiet
    case .olderRst: return state == .lastAcknowledgement ? .forget : .quiet
    case .rstBehindWindow: return .quiet
    // RFC 5961 section 5.2.
    case .ackNeverSent, .requestNeverSent: return .challenge
    case .newerAck, .withoutAck, .newer, .newerFin: return .outOfOrder
    case .ack: return state == .lastAcknowledgement || state == .requestedAndClosed ? .forget : .quiet
    case .ackOfPart, .ackOfNothing: return .quiet
    case .requestUnacknowledged, .finUnacknowledged: return .unacknowledged
    case .request, .requestFin: return state == .idle || state == .answering ? .request : .reset
    case .fin:
      return state == .idle || state == .answering ? .finish : state == .closing ? .acknowledge : .reset
    case .repeated, .repeatedGrown: return isAnswered(state) ? .retransmit : .acknowledge
    case .repeatedFin: return isAnswered(state) ? .retransmit : .acknowledge
    case .repeatedShorter, .repeatedAcknowledged, .older, .overlapping, .probe, .probeOfOneByte, .olderFin:
      return .acknowledge
    // It has not seen our FIN.
    case .olderFinUnacknowledged:
      return state == .idle || state == .answering ? .acknowledge : .repeatedFinish
    }
  }

  /// A response is out whose request may come again.
  private static func isAnswered(_ state: State) -> Bool { state != .idle && state != .lastAcknowledgement }

  // MARK: What is in the cells

  private static func connection(_ state: State, _ base: UInt32) -> Connection {
    var connection = Connection(
      receiveNext: SequenceNumber(base &+ 4900), sendNext: SequenceNumber(base &+ 8000), segmentSizeMax: 1460)
    let isWithFin = state == .requestedAndClosed
    connection.answer(
      KernelSocketsTests.segment(
        isWithFin ? [.ack, .fin] : .ack, sequence: base &+ 4900, acknowledgement: base &+ 8000, payload: 100),
      responseLength: 1000, closes: state == .closing || state == .closed || isWithFin)
    switch state {
    case .answering, .closing, .requestedAndClosed: break
    case .idle: connection.state = ConnectionState.idle
    case .closed:
      let fin = KernelSocketsTests.segment([.ack, .fin], sequence: base &+ 5000, acknowledgement: base &+ 9001)
      #expect(connection.arrive(fin) == .acknowledge)
    case .lastAcknowledgement:
      connection.state = ConnectionState.idle
      connection.finish(
        KernelSocketsTests.segment([.ack, .fin], sequence: base &+ 5000, acknowledgement: base &+ 9000))
    }
    return connection
  }

  private static func segment(_ kind: Kind, for connection: Connection, _ base: UInt32) -> Segment {
    let next = connection.receiveNext.value
    let sent = connection.sendNext.value
    let request = base &+ 4900
    let response = base &+ 8000
    func make(_ flags: SegmentFlags, _ sequence: UInt32, _ acknowledgement: UInt32, _ payload: Int = 0) -> Segment {
      KernelSocketsTests.segment(flags, sequence: sequence, acknowledgement: acknowledgement, payload: payload)
    }
    switch kind {
    case .syn: return make(.syn, next, 0)
    case .newerSyn: return make(.syn, next &+ 1_000_000, 0)
    case .olderSyn: return make(.syn, base, 0)
    case .synAck: return make([.syn, .ack], next &+ 1_000_000, sent)
    case .synFin: return make([.syn, .fin], next &+ 1_000_000, 0)
    case .ack: return make(.ack, next, sent)
    case .ackOfPart: return make(.ack, next, response &+ 500)
    case .ackOfNothing: return make(.ack, next, response)
    case .ackNeverSent: return make(.ack, next, sent &+ 1)
    case .newerAck: return make(.ack, next &+ 1, sent)
    case .withoutAck: return make([], next, sent, 10)
    case .request: return make([.psh, .ack], next, sent, 100)
    case .requestUnacknowledged: return make([.psh, .ack], next, response, 100)
    case .requestFin: return make([.psh, .ack, .fin], next, sent, 100)
    case .requestNeverSent: return make([.psh, .ack], next, sent &+ 1, 100)
    case .repeated: return make([.psh, .ack], request, response, 100)
    case .repeatedGrown: return make([.psh, .ack], request, response, 150)
    case .repeatedShorter: return make([.psh, .ack], request, response, 99)
    case .repeatedAcknowledged: return make([.psh, .ack], request, sent, 100)
    case .repeatedFin: return make([.psh, .ack, .fin], request, response, 100)
    case .older: return make([.psh, .ack], base &+ 4000, response, 100)
    case .overlapping: return make([.psh, .ack], next &- 10, sent, 20)
    case .probe: return make(.ack, next &- 1, sent)
    case .probeOfOneByte: return make(.ack, next &- 1, sent, 1)
    case .newer: return make([.psh, .ack], next &+ 1, sent, 100)
    case .fin: return make([.fin, .ack], next, sent)
    case .finUnacknowledged: return make([.fin, .ack], next, response)
    case .olderFin: return make([.fin, .ack], next &- 1, sent)
    case .olderFinUnacknowledged: return make([.fin, .ack], next &- 1, sent &- 1)
    case .newerFin: return make([.fin, .ack], next &+ 10, sent)
    case .rst: return make(.rst, next, 0)
    case .rstAck: return make([.rst, .ack], next, sent)
    case .rstInWindow: return make(.rst, next &+ 64_239, 0)
    case .rstBehindWindow: return make(.rst, next &+ 64_240, 0)
    case .olderRst: return make(.rst, next &- 1, 0)
    case .rstAtRequest: return make(.rst, request, 0)
    }
  }
}
