import KernelTestSupport

/// What the client of a script must get, and from whom: the kernel part itself, or the kernel's own TCP that a
/// connection was left or handed over to.
public struct ServerSide: Sendable {
  let isKernelPart: Bool

  /// The milliseconds an answer may take: the kernel part answers before the packet's sender goes on; what is behind
  /// must be woken first, on a machine that may be busy.
  private var time_ms: Int { isKernelPart ? 50 : 3000 }

  /// One segment. Where nothing is said it is the next one in order and acknowledges all that was sent.
  ///
  /// - Parameters:
  ///   - options: besides timestamps, which echo the last segment in order, where they were agreed on.
  ///   - content: of the payload.
  ///   - isLost: it must come, but the client takes it for lost.
  public func sends(
    _ flags: SegmentFlags, seq: Position = .next, ack: Position = .next, window: UInt16? = nil,
    options: [SegmentOption] = [], _ content: Content = .none, isLost: Bool = false, within_ms: Int? = nil,
    line: Int = #line
  ) -> Step {
    let expectation = Expectation(
      isKernelPart: isKernelPart, flags: flags, seq: seq, ack: ack, window: window, options: options,
      content: content, isLost: isLost, within_ms: within_ms ?? time_ms)
    return Step(.expect(expectation), line)
  }

  /// A SYN-ACK with what is to be agreed on of an offer.
  public func accepts(_ offer: Offer = .mss(1460), line: Int = #line) -> Step {
    var expectation = Expectation(isKernelPart: isKernelPart, flags: [.syn, .ack], within_ms: time_ms)
    expectation.offer = offer
    return Step(.expect(expectation), line)
  }

  /// The whole 200 of a file in one segment; with our FIN, if the connection ends with it.
  public func answers(
    _ path: String, seq: Position = .next, ack: Position = .next, fin: Bool = false, isLost: Bool = false,
    line: Int = #line
  ) -> Step {
    sends(
      fin ? [.fin, .psh, .ack] : [.psh, .ack], seq: seq, ack: ack, .response(200, path: path), isLost: isLost,
      line: line)
  }

  /// The whole 200 of a file in several segments, all at once, none of which acknowledges the request yet; then its last
  /// byte once more.
  ///
  /// - Parameters:
  ///   - segments: how many there must be.
  ///   - losing: those the client takes for lost, counted from 1.
  public func answers(
    _ path: String, in segments: Int, losing lost: Set<Int> = [], fin: Bool = false, losingProbe: Bool = false,
    line: Int = #line
  ) -> Step {
    Step(
      .expectBurst(
        Burst(
          path: path, segments: segments, lost: lost, fin: fin, isProbeLost: losingProbe, within_ms: time_ms)), line)
  }

  /// One segment of the last response again, then its last byte once more.
  public func resends(_ segment: Int, isLost: Bool = false, fin: Bool = false, line: Int = #line) -> Step {
    Step(
      .expectBurst(
        Burst(
          again: segment, segments: 1, lost: isLost ? [1] : [], fin: fin, isProbeLost: isLost, within_ms: time_ms)),
      line)
  }

  /// The last response once more. That the bytes are the same is checked of all that ever comes.
  public func repeats(_ path: String, fin: Bool = false, isLost: Bool = false, line: Int = #line) -> Step {
    answers(path, seq: .response, fin: fin, isLost: isLost, line: line)
  }

  public func acknowledges(seq: Position = .next, ack: Position = .next, line: Int = #line) -> Step {
    sends(.ack, seq: seq, ack: ack, line: line)
  }

  /// Acknowledges, and says which data it has behind a gap (RFC 2018).
  public func acknowledgesSelectively(ack: Position = .next, line: Int = #line) -> Step {
    var expectation = Expectation(isKernelPart: isKernelPart, flags: .ack, ack: ack, within_ms: time_ms)
    expectation.isSelective = true
    return Step(.expect(expectation), line)
  }

  public func closes(
    seq: Position = .next, ack: Position = .next, isLost: Bool = false, line: Int = #line
  ) -> Step {
    sends([.fin, .ack], seq: seq, ack: ack, isLost: isLost, line: line)
  }

  /// A RST that answers a segment with an ACK: it has the number that segment acknowledged.
  public func resets(
    _ flags: SegmentFlags = [.rst, .ack], seq: Position = .next, ack: Position = .next, line: Int = #line
  ) -> Step {
    sends(flags, seq: seq, ack: ack, line: line)
  }

  /// Data of a server behind in any number of segments, until a whole response has come; the client acknowledges it.
  public func serves(_ path: String, status: Int = 200, fin: Bool = false, line: Int = #line) -> Step {
    Step(.serve(Service(path: path, status: status, fin: fin, within_ms: time_ms)), line)
  }

  public func isSilent(for_ms: Int = 30, line: Int = #line) -> Step {
    Step(.silence(for_ms: for_ms, isKernelPart: isKernelPart), line)
  }
}

/// The kernel part of Apus.
public let server = ServerSide(isKernelPart: true)
/// The kernel's TCP, with the server behind.
public let kernel = ServerSide(isKernelPart: false)

/// The files that are served.
public struct FileSide: Sendable {
  /// Gives a file other bytes, and lets the server notice it.
  public func replaces(_ path: String, line: Int = #line) -> Step { Step(.replace(path: path), line) }
}

public let site = FileSide()

/// The server's kernel.
public struct HostSide: Sendable {
  /// Changes one of net.ipv4.tcp_*.
  public func sets(_ setting: String, to value: Int, line: Int = #line) -> Step {
    Step(.setting(name: setting, value: value), line)
  }
}

public let host = HostSide()

/// The listener behind. Scripts that speak of it begin with a full accept queue that nobody takes anything from.
public struct ListenerSide: Sendable {
  public func isFull(line: Int = #line) -> Step { Step(.listener(isAccepting: false), line) }
  public func accepts(line: Int = #line) -> Step { Step(.listener(isAccepting: true), line) }
}

public let listener = ListenerSide()

/// What a payload must be.
public enum Content: Sendable {
  case none
  /// A response in full. Its body is the file's.
  case response(Int, path: String)
  /// A response's head, with no body behind it.
  case head(Int)
}

struct Expectation: Sendable {
  var isKernelPart: Bool
  var flags: SegmentFlags
  var seq: Position = .next
  var ack: Position = .next
  var window: UInt16?
  var options: [SegmentOption] = []
  var content: Content = .none
  var isLost = false
  var isSelective = false
  var within_ms: Int
  /// What a SYN-ACK answers.
  var offer: Offer?
}

struct Burst: Sendable {
  /// A response from its start; nil: a segment of the last one again.
  var path: String?
  var again = 0
  var segments: Int
  var lost: Set<Int>
  var fin: Bool
  var isProbeLost: Bool
  var within_ms: Int
}

struct Service: Sendable {
  var path: String
  var status: Int
  var fin: Bool
  var within_ms: Int
}
