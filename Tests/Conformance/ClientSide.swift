import KernelTestSupport

/// What the client of a script does.
public struct ClientSide: Sendable {
  /// Sends a segment. Where nothing is said it is the next one, acknowledging all that was received.
  ///
  /// - Parameters:
  ///   - timestamp: TSval, where timestamps were agreed on.
  ///   - isLost: the client has sent it, but it is not put on the wire.
  ///   - spoilt: what makes the packet wrong.
  public func sends(
    _ flags: SegmentFlags, seq: Position = .next, ack: Position = .next, window: UInt16 = 64_240,
    options: [SegmentOption] = [], timestamp: Timestamp = .clock, _ data: [UInt8] = [], isLost: Bool = false,
    line: Int = #line, spoilt: (@Sendable (inout Packet) -> Void)? = nil
  ) -> Step {
    let sending = Sending(
      flags: flags, seq: seq, ack: ack, window: window, options: options, timestamp: timestamp, data: data,
      isLost: isLost, spoilt: spoilt)
    return Step(.send(sending), line)
  }

  /// Sends a SYN.
  public func offers(
    _ offer: Offer, _ flags: SegmentFlags = .syn, seq: Position = .next, _ data: [UInt8] = [], line: Int = #line,
    spoilt: (@Sendable (inout Packet) -> Void)? = nil
  ) -> Step {
    Step(.send(Sending(flags: flags, seq: seq, ack: 0, data: data, offer: offer, spoilt: spoilt)), line)
  }

  /// Shakes hands.
  ///
  /// - Parameters:
  ///   - start: the initial sequence number; any, where it does not matter.
  ///   - clock: what its TSval counts from, in milliseconds; any, where it does not matter.
  public func connects(
    _ offer: Offer = .mss(1460), start: UInt32? = nil, clock: UInt32? = nil, line: Int = #line
  ) -> [Step] {
    [
      Step(.send(Sending(flags: .syn, ack: 0, offer: offer, start: start, clockStart: clock)), line),
      server.accepts(offer, line: line), acknowledges(line: line),
    ]
  }

  public func acknowledges(seq: Position = .next, ack: Position = .next, line: Int = #line) -> Step {
    sends(.ack, seq: seq, ack: ack, line: line)
  }

  /// Acknowledges what is in order and names segments behind a gap that it has (RFC 2018).
  public func acknowledges(holding segments: ClosedRange<Int>, line: Int = #line) -> Step {
    Step(.send(Sending(flags: .ack, held: segments)), line)
  }

  /// Sends a GET in one segment.
  public func requests(
    _ path: String, _ fields: String..., seq: Position = .next, ack: Position = .next, window: UInt16 = 64_240,
    fin: Bool = false, isLost: Bool = false, line: Int = #line
  ) -> Step {
    sends(
      fin ? [.fin, .psh, .ack] : [.psh, .ack], seq: seq, ack: ack, window: window, get(path, fields: fields),
      isLost: isLost, line: line)
  }

  public func closes(seq: Position = .next, ack: Position = .next, line: Int = #line) -> Step {
    sends([.fin, .ack], seq: seq, ack: ack, line: line)
  }

  /// Sends a RST without ACK, as after SYN-SENT and by middleboxes; with one, say `.sends([.rst, .ack])`.
  public func resets(seq: Position = .next, line: Int = #line) -> Step { sends(.rst, seq: seq, ack: 0, line: line) }

  public func waits(ms: Int, line: Int = #line) -> Step { Step(.pause(ms: ms), line) }
}

public let client = ClientSide()

/// A GET of HTTP/1.1.
public func get(_ path: String, fields: [String] = []) -> [UInt8] { head("GET \(path) HTTP/1.1", fields) }

/// Any head with a Host.
public func head(_ requestLine: String, _ fields: [String] = []) -> [UInt8] {
  Array(([requestLine, "Host: apus.test"] + fields).map { $0 + "\r\n" }.joined().utf8) + [13, 10]
}

/// A client's TSval (RFC 7323 section 3.2).
public enum Timestamp: Sendable {
  /// What its clock says.
  case clock
  /// So much older (-) or newer than what its clock says.
  case shifted(Int32)
  case absent

  func value(at clock: UInt32) -> UInt32? {
    switch self {
    case .clock: clock
    case .shifted(let difference): clock &+ UInt32(bitPattern: difference)
    case .absent: nil
    }
  }
}

struct Sending: Sendable {
  var flags: SegmentFlags
  var seq: Position = .next
  var ack: Position = .next
  var window: UInt16 = 64_240
  var options: [SegmentOption] = []
  var timestamp: Timestamp = .clock
  var data: [UInt8] = []
  var isLost = false
  /// Segments of the response named in a SACK block.
  var held: ClosedRange<Int>?
  /// A SYN's.
  var offer: Offer?
  var start: UInt32?
  var clockStart: UInt32?
  var spoilt: (@Sendable (inout Packet) -> Void)?
}
