import BPFKernel

/// What is to be done with a packet: a verdict, or a step that leads to one. The first part of the program, which looks
/// at the segment, and the second, which answers, meet here with nothing on the stack but this number.
public struct Step: Equatable {
  public var rawValue: Int32
  @inline(__always) init(rawValue: Int32) { self.rawValue = rawValue }

  @inline(__always) public static func done(_ verdict: Verdict) -> Step { Step(rawValue: verdict.rawValue) }
  /// There is no connection, or none any more.
  @inline(__always) static var begin: Step { Step(rawValue: 100) }
  @inline(__always) static var receive: Step { Step(rawValue: 101) }
  @inline(__always) static var retransmit: Step { Step(rawValue: 102) }
  @inline(__always) static var finish: Step { Step(rawValue: 103) }
  /// What `SocketMemory.part` says.
  @inline(__always) static var transmit: Step { Step(rawValue: 104) }
  /// Hand the connection over, with this segment as the first data of its new owner.
  ///
  /// - Parameter reason: for `SocketServer.countHandover`; less than `handoverReasonsMax`.
  @inline(__always) public static func handOver(code reason: UInt32) -> Step {
    Step(rawValue: firstReason &+ Int32(truncatingIfNeeded: reason & (handoverReasonsMax &- 1)))
  }
  /// Handed over before, but its socket is not there yet.
  @inline(__always) static var handOverAgain: Step { Step(rawValue: firstReason &- 1) }
  private static var firstReason: Int32 { 200 }
  /// A power of two.
  public static var handoverReasonsMax: UInt32 { 32 }

  @inline(__always) var isHandOver: Bool { rawValue >= Self.handOverAgain.rawValue }
  /// The reason. `nil`: it has been counted.
  @inline(__always) var handoverCode: UInt32? {
    rawValue >= Self.firstReason ? UInt32(truncatingIfNeeded: rawValue &- Self.firstReason) : nil
  }
}

/// What happens to packets and connections, for a server to count: nothing is silent.
public enum SocketEvent: UInt32, CaseIterable, Sendable {
  // Sent.
  /// A response, for the first time.
  case answer = 0
  /// A part of one again, or the second SYN-ACK to a SYN that came before.
  case retransmission
  /// A segment of a response that takes several.
  case segment
  /// SYN-ACK.
  case handshake
  case acknowledgement
  /// An ACK for what may be forged (RFC 5961).
  case challenge
  case reset
  case finish

  // Left to the kernel.
  case handover
  case leftToKernel

  // Dropped; the client sends it again where that matters.
  case droppedHandshakeAcknowledgement
  case droppedAcknowledgement
  case droppedChecksum
  case droppedOutOfOrder
  case droppedUnacknowledged
  /// The connection is given away, but its socket is not there yet.
  case droppedNotYetAccepted
  /// What the response is made from changed while it was copied.
  case droppedTorn
  case droppedReset
  case droppedFull
  /// The packet could not be read or changed.
  case droppedPacket
  /// A timestamp is missing, or from the past (RFC 7323 section 5.3).
  case droppedUntimely

  // Why the kernel did not take a connection over.
  case noListener
  case handoverRefused

  public static var count: Int { 32 }
}
