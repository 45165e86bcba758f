/// A sequence number as a script names it: relative, so that it means the same on every run.
///
/// A literal counts from the initial sequence number of the side whose bytes are numbered; 0 is the SYN, 1 the first
/// byte. The other names count from what has happened so far.
public struct Position: ExpressibleByIntegerLiteral, Sendable {
  enum Base: Sendable {
    case start, next, request, response
    case segment(Int)
  }

  let base: Base
  let offset: Int64

  public init(integerLiteral value: Int64) { self.init(.start, value) }

  private init(_ base: Base, _ offset: Int64 = 0) {
    self.base = base
    self.offset = offset
  }

  /// Of the client's bytes: the first it has not sent yet. Of the server's: the first it has not received yet.
  public static let next = Position(.next)
  /// The first byte of the client's last request.
  public static let request = Position(.request)
  /// The first byte of the server's last response.
  public static let response = Position(.response)
  /// The first byte of a segment of the last response, counted from 1.
  public static func segment(_ number: Int) -> Position { Position(.segment(number)) }

  public static func + (position: Position, offset: Int) -> Position {
    Position(position.base, position.offset + Int64(offset))
  }
  public static func - (position: Position, offset: Int) -> Position { position + -offset }
}

/// One direction of a connection as the client sees it; numbers are absolute.
struct SequenceSpace {
  /// The initial sequence number.
  var start: UInt32 = 0
  var next: UInt32 = 0
  /// Where the last request or response began.
  var message: UInt32 = 0
  /// The segments of the last response, where it had several.
  var segments: [Range<UInt32>] = []

  func absolute(_ position: Position) -> UInt32 {
    let base =
      switch position.base {
      case .start: start
      case .next: next
      case .request, .response: message
      case .segment(let number): segments[number - 1].lowerBound
      }
    return base &+ UInt32(truncatingIfNeeded: position.offset)
  }

  /// As transcripts print it.
  func relative(_ number: UInt32) -> String { "\(Int32(bitPattern: number &- start))" }
}
