import Contract
import KernelSockets
import KernelTestSupport
import Testing
import Wire

extension KernelPart {
  /// The table of ARCHITECTURE.md, every cell end to end: a connection in that state, that segment, and what goes
  /// back and is remembered.
  @Suite struct StateTable {
    enum State: String, CaseIterable, Sendable {
      case none, idle, answering, closing, closed, lastAcknowledgement
      /// Given away, the socket not there yet.
      case handedOver
      case handedOverWithSocket
    }

    enum Kind: String, CaseIterable, Sendable {
      case syn, synAck, acknowledgement, foreignAcknowledgement, probe
      case request, unacknowledgedRequest, foreignRequest, repeatedRequest
      case older, newer, fin, repeatedFin, reset, resetInWindow
    }

    enum Afterwards: Sendable { case absent, kept, state(UInt8) }

    /// What a cell says, in terms of the client's next byte and of ours.
    enum Expectation: Sendable {
      case left
      case drop(DropReason)
      case synAck
      case answer
      case repeatAnswer
      case acknowledge(finToo: Bool = false)
      case challenge
      case finish
      case repeatFinish
      case reset
      /// Given to the listener once more, which the kernel refuses to a packet on no wire.
      case giveAgain
    }

    struct Cell: Sendable, CustomTestStringConvertible {
      let state: State
      let kind: Kind
      let expectation: Expectation
      let afterwards: Afterwards
      var testDescription: String { "\(state.rawValue) x \(kind.rawValue) -> \(expectation), then \(afterwards)" }
    }

    @Test("a cell of the table", arguments: cells)
    func cell(_ cell: Cell) throws {
      let scene = try Scene(cell.state)
      let packet = scene.packet(cell.kind)
      try scene.bench.send(packet, scene.check(cell.expectation, packet))
      let connection = scene.bench.connection(scene.client.flow)
      switch cell.afterwards {
      case .absent: #expect(connection == nil)
      case .kept: #expect(connection?.state == scene.before?.state && (connection == nil) == (scene.before == nil))
      case .state(let state): #expect(connection?.state == state)
      }
    }

    @Test("every cell of the table is there")
    func complete() {
      #expect(Self.cells.count == State.allCases.count * Kind.allCases.count)
      #expect(Set(Self.cells.map { "\($0.state) \($0.kind)" }).count == Self.cells.count)
    }

    // MARK: The table

    static let cells: [Cell] = State.allCases.flatMap { state in
      Kind.allCases.map { kind in
        let (expectation, afterwards) = row(state, kind)
        return Cell(state: state, kind: kind, expectation: expectation, afterwards: afterwards)
      }
    }

    private static func row(_ state: State, _ kind: Kind) -> (Expectation, Afterwards) {
      switch state {
      case .none: none(kind)
      case .idle, .answering: open(kind, isAnswering: state == .answering)
      case .closing, .closed, .lastAcknowledgement: ending(kind, state)
      case .handedOver: handedOver(kind)
      case .handedOverWithSocket: (.left, .absent)
      }
    }

    private static func none(_ kind: Kind) -> (Expectation, Afterwards) {
      switch kind {
      case .syn: (.synAck, .absent)
      case .acknowledgement: (.drop(.handshakeAcknowledgement), .absent)
      // A FIN in the place of the SYN is taken for a probe.
      case .probe, .repeatedFin: (.acknowledge(), .absent)
      case .request: (.answer, .state(ConnectionState.answering))
      case .fin: (.finish, .state(ConnectionState.closing))
      case .older, .newer: (.drop(.outOfOrder), .absent)
      // Nothing has been sent that could be unacknowledged or repeated: these acknowledge no cookie.
      case .synAck, .foreignAcknowledgement, .foreignRequest, .unacknowledgedRequest, .repeatedRequest, .reset,
        .resetInWindow:
        (.left, .absent)
      }
    }

    private static func open(_ kind: Kind, isAnswering: Bool) -> (Expectation, Afterwards) {
      switch kind {
      case .syn, .synAck, .foreignAcknowledgement, .foreignRequest, .resetInWindow: (.challenge, .kept)
      case .acknowledgement: (.drop(.acknowledgement), .state(ConnectionState.idle))
      case .request: (.answer, .state(ConnectionState.answering))
      case .unacknowledgedRequest: (.drop(.unacknowledged), .kept)
      case .repeatedRequest: isAnswering ? (.repeatAnswer, .kept) : (.acknowledge(), .kept)
      case .older, .probe, .repeatedFin: (.acknowledge(), .kept)
      case .newer: (.drop(.outOfOrder), .kept)
      case .fin: (.finish, .state(ConnectionState.closing))
      case .reset: (.drop(.reset), .absent)
      }
    }

    private static func ending(_ kind: Kind, _ state: State) -> (Expectation, Afterwards) {
      switch kind {
      // A new connection on the four-tuple of one that is over (RFC 9293 section 3.6.1).
      case .syn: state == .closing ? (.challenge, .kept) : (.synAck, .absent)
      case .synAck, .foreignAcknowledgement, .foreignRequest, .resetInWindow: (.challenge, .kept)
      case .acknowledgement:
        state == .lastAcknowledgement ? (.drop(.acknowledgement), .absent) : (.drop(.acknowledgement), .kept)
      case .request: (.reset, .absent)
      case .unacknowledgedRequest: (.drop(.unacknowledged), .kept)
      case .repeatedRequest: state == .lastAcknowledgement ? (.acknowledge(), .kept) : (.repeatAnswer, .kept)
      case .older, .probe: (.acknowledge(), .kept)
      case .newer: (.drop(.outOfOrder), .kept)
      case .fin: state == .closing ? (.acknowledge(finToo: true), .kept) : (.reset, .absent)
      case .repeatedFin: (.repeatFinish, .kept)
      case .reset: (.drop(.reset), .absent)
      }
    }

    private static func handedOver(_ kind: Kind) -> (Expectation, Afterwards) {
      switch kind {
      case .syn: (.synAck, .absent)
      case .request: (.giveAgain, .absent)
      case .reset: (.drop(.reset), .absent)
      case .resetInWindow: (.drop(.reset), .kept)
      default: (.drop(.notYetAccepted), .kept)
      }
    }

    // MARK: What is in the cells

    /// A client whose connection is in a state, though no packet brought it there: one request of it was answered.
    struct Scene {
      let bench: Bench
      let client: Client
      let object = StoredObject.page("/t", "table")
      let before: Connection?
      let request: [UInt8]
      let start: UInt32 = 0xffff_ff80
      private let isNone: Bool
      private let closes: Bool
      private let isUnseen: Bool

      init(_ state: State) throws {
        bench = try Bench()
        isUnseen = state == .answering || state == .closing || state == .lastAcknowledgement
        let unit = bench.store(object)
        isNone = state == .none
        closes = state == .closing || state == .closed
        request = closes ? KernelServerTests.get("/t", "Connection: close") : KernelServerTests.get("/t")
        var client = Client(bench, start: start)
        if state == .none {
          client.next = start &+ 1
          client.received = bench.cookie(client.local, start: start, size: 1460) &+ 1
          before = nil
        } else {
          let made = Self.connection(state, object, unit, request: request.count, second: bench.second)
          client.next = made.receiveNext.value
          client.received = made.sendNext.value
          before = made
          try bench.setConnection(client.flow, made)
        }
        if state == .handedOverWithSocket { try bench.openSocket(from: client.local) }
        self.client = client
      }

      private static func connection(
        _ state: State, _ object: StoredObject, _ unit: UInt32, request: Int, second: UInt64
      ) -> Connection {
        let closes = state == .closing || state == .closed
        let response = object.response(closes ? VariantIndex.closing11 : VariantIndex.persistent11).count
        let start: UInt32 = 0xffff_ffe0
        let sent: UInt32 = 0x7fff_ff00
        var made = Connection(
          receiveNext: SequenceNumber(start &+ UInt32(request)), sendNext: SequenceNumber(sent &+ UInt32(response)),
          segmentSizeMax: 1460)
        made.requestSequence = SequenceNumber(start)
        made.responseSequence = SequenceNumber(sent)
        made.requestLength = UInt16(request)
        made.source = unit
        made.generation = object.generation
        made.form = object.form(closes ? VariantIndex.closing11 : VariantIndex.persistent11)
        made.responseSecond = UInt32(second)
        made.answered = state == .lastAcknowledgement ? 0 : 1
        if state == .lastAcknowledgement {
          made.requestSequence = made.receiveNext
          made.responseSequence = made.sendNext
        }
        if state == .closed || state == .lastAcknowledgement { made.receiveNext = made.receiveNext &+ 1 }
        if closes || state == .lastAcknowledgement { made.sendNext = made.sendNext &+ 1 }
        made.peerClosed = state == .closed ? 1 : state == .lastAcknowledgement ? 2 : 0
        made.state =
          switch state {
          case .none, .idle: ConnectionState.idle
          case .answering: ConnectionState.answering
          case .closing, .closed, .lastAcknowledgement: ConnectionState.closing
          case .handedOver, .handedOverWithSocket: ConnectionState.handedOver
          }
        return made
      }

      func packet(_ kind: Kind) -> Packet {
        let next = client.next
        // Another flow tag, if it is a cookie's; never sent, if there is a connection.
        let foreign = isNone ? ((client.received &- 1) ^ 0x400) &+ 1 : client.received &+ 1
        let unacknowledged = isNone ? foreign : before!.responseSequence.value
        switch kind {
        case .syn:
          return client.segment(.syn, sequence: next &+ 5000, acknowledgement: 0, options: [.segmentSize(1460)])
        case .synAck: return client.segment([.syn, .ack])
        case .acknowledgement: return client.segment()
        case .foreignAcknowledgement: return client.segment(acknowledgement: foreign)
        case .probe: return client.segment(sequence: next &- 1)
        case .request: return client.request(request)
        case .unacknowledgedRequest: return client.segment([.psh, .ack], acknowledgement: unacknowledged, request)
        case .foreignRequest: return client.segment([.psh, .ack], acknowledgement: foreign, request)
        case .repeatedRequest:
          return client.segment(
            [.psh, .ack], sequence: before?.requestSequence.value, acknowledgement: unacknowledged, request)
        case .older: return client.segment([.psh, .ack], sequence: next &- 20, [UInt8](repeating: 1, count: 10))
        case .newer: return client.segment([.psh, .ack], sequence: next &+ 1, request)
        case .fin: return client.segment([.fin, .ack])
        // The FIN before the one that is expected next, our own not acknowledged where it has been sent.
        case .repeatedFin:
          return client.segment(
            [.fin, .ack], sequence: next &- 1,
            acknowledgement: before?.state == ConnectionState.closing ? client.received &- 1 : client.received)
        case .reset: return client.segment(.rst, acknowledgement: 0)
        case .resetInWindow: return client.segment(.rst, sequence: next &+ 1, acknowledgement: 0)
        }
      }

      /// SEG.SEQ and SEG.ACK of what carries no data: as before the last request if its response may be lost, so that
      /// the client goes on sending it again.
      private func announced(_ packet: Packet) -> (UInt32, UInt32) {
        guard let before, isUnseen, packet.acknowledgement != client.received else {
          return (client.received, client.next)
        }
        return (before.responseSequence.value, before.requestSequence.value)
      }

      func check(_ expectation: Expectation, _ packet: Packet) -> Check {
        let (next, sent) = (client.next, client.received)
        let response = object.response(closes ? VariantIndex.closing11 : VariantIndex.persistent11)
        switch expectation {
        case .left: return .left
        case .drop(let reason): return .dropped(reason)
        case .synAck: return .synAck(segmentSize: 1460, acknowledging: packet.sequence &+ 1)
        case .answer:
          return .response(response, sequence: sent, acknowledging: next &+ UInt32(request.count), fin: closes)
        case .repeatAnswer:
          return .response(
            response, sequence: before!.responseSequence.value, acknowledging: next, fin: closes, again: true)
        case .acknowledge(let finToo):
          let (sequence, acknowledgement) = announced(packet)
          return .acknowledgement(sequence, acknowledgement &+ (finToo ? 1 : 0))
        case .challenge:
          let (sequence, acknowledgement) = announced(packet)
          return .challenge(sequence, acknowledgement)
        case .finish: return .finish(sent, next &+ 1)
        case .repeatFinish: return .finish(sent &- 1, next)
        case .reset: return .reset(sent, next &+ UInt32(packet.payload.count) &+ (packet.flags.contains(.fin) ? 1 : 0))
        case .giveAgain:
          return .verdict(Outcome.next, "left").and(.counts(CounterNames.name(DropReason.handoverRefused)))
        }
      }
    }
  }
}
