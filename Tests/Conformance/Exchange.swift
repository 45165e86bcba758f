import KernelTestSupport

/// One script: what a client sends, what it must get, and when, on a connection of its own.
public struct Exchange: Sendable {
  public let name: String
  /// The section that demands it: "RFC 9293 section 3.8.1", or another document's.
  public let source: String
  /// The cell of the table in ARCHITECTURE.md, if it is one of the table's.
  public let cell: Cell?
  /// nil: both.
  public let family: Family?
  let steps: [Step]
  public let line: Int
  public let file: StaticString

  public init(
    _ name: String, _ source: String, cell: Cell? = nil, family: Family? = nil, line: Int = #line,
    file: StaticString = #fileID,
    @ScriptBuilder script: () -> [Step]
  ) {
    self.name = name
    self.source = source
    self.cell = cell
    self.family = family
    self.line = line
    self.file = file
    steps = script()
  }

  public func isFor(_ other: Family) -> Bool { family == nil || family == other }

  /// Which server it needs behind the kernel part.
  public var needsListener: Bool { steps.contains { if case .listener = $0.action { true } else { false } } }
}

/// A cell of the table "What becomes of a segment" in ARCHITECTURE.md.
public struct Cell: Hashable, Sendable {
  public enum State: String, CaseIterable, Sendable {
    case none, idle, answering, closing
    case handedOver = "handed over"
  }
  public enum Kind: String, CaseIterable, Sendable {
    case syn = "SYN"
    case ack = "ACK"
    case request = "request at RCV.NXT"
    case older = "older data"
    case newer = "newer data"
    case fin = "FIN at RCV.NXT"
    case rst = "RST"
  }

  public let state: State
  public let kind: Kind

  public static func at(_ state: State, _ kind: Kind) -> Cell { Cell(state: state, kind: kind) }
}

/// One line of a script.
public struct Step: Sendable {
  enum Action: Sendable {
    case send(Sending)
    case expect(Expectation)
    /// A response in several segments, or one of them again, and a probe behind.
    case expectBurst(Burst)
    /// Data in any number of segments until a whole response has come, as a server behind sends it.
    case serve(Service)
    case silence(for_ms: Int, isKernelPart: Bool)
    case pause(ms: Int)
    /// The file behind a path gets other bytes.
    case replace(path: String)
    case listener(isAccepting: Bool)
    /// One of the server's settings net.ipv4.tcp_*.
    case setting(name: String, value: Int)
  }

  let action: Action
  public let line: Int

  init(_ action: Action, _ line: Int) {
    self.action = action
    self.line = line
  }
}

@resultBuilder public enum ScriptBuilder {
  public static func buildExpression(_ step: Step) -> [Step] { [step] }
  public static func buildExpression(_ steps: [Step]) -> [Step] { steps }
  public static func buildBlock(_ parts: [Step]...) -> [Step] { parts.flatMap(\.self) }
  public static func buildArray(_ parts: [[Step]]) -> [Step] { parts.flatMap(\.self) }
}
