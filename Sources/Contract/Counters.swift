/// Everything the kernel part counts: one array of 64-bit words a CPU, in three parts.

/// Why a request went to the server behind. The raw value is the place in the counters.
public enum HandoverReason: UInt32, CaseIterable, Sendable {
  case noObject = 0
  case staleHeartbeat
  case draining
  case method
  case version
  case target
  case query
  case headMalformed
  case headTooLong
  case headIncomplete
  /// Something follows the head in its segment.
  case pipelined
  case hostMissing
  case hostUnknown
  case conditional
  case field
  case connectionField
  case variant
  /// The head does not fit into one segment.
  case segmentTooSmall
  /// The response takes more segments than may be sent at once.
  case congestionWindow
  case responseTooLong
  case windowTooSmall
  /// Urgent data, or TCP options that were not agreed on.
  case segment
  case date
  /// Accept-Encoding is not understood, and it matters.
  case acceptEncoding
  /// What goes back to the client leaves by another interface than its packets come in on.
  case route

  public static var count: Int { 32 }
}

/// Why a packet was dropped; the client sends it again where that matters.
public enum DropReason: UInt32, CaseIterable, Sendable {
  case handshakeAcknowledgement = 0
  case acknowledgement
  case checksum
  case outOfOrder
  case unacknowledged
  /// The connection is given away, but its socket is not there yet.
  case notYetAccepted
  /// The object changed while it was copied.
  case tornObject
  case handoverRefused
  case noListener
  case reset
  case full
  case packet
  /// The client's address is denied, or is not among those allowed.
  case clientRefused
  /// A timestamp is missing, or from the past (RFC 7323 section 5.3).
  case untimely

  public static var count: Int { 16 }
}

/// Everything else.
public enum Counter: UInt32, CaseIterable, Sendable {
  /// Answers given, retransmissions not among them.
  case hits = 0
  case notModified
  case retransmissions
  case handshakes
  case acknowledgements
  case challenges
  case resets
  case finishes
  case handovers
  case missEvents
  case missEventsSuppressed
  case missEventsLost
  case leftToKernel
  /// Segments of responses, where a response takes several.
  case segments
  /// Of those left to the kernel, SYNs, because what goes back to the client leaves by another interface.
  case leftForRoute
  /// Of the access log, because its ring was full.
  case accessEventsLost

  public static var count: Int { 16 }
}

/// Places in the counters: counters first, then hand-overs, then drops.
public enum CounterLayout {
  public static var handovers: Int { Counter.count }
  public static var drops: Int { Counter.count &+ HandoverReason.count }
  public static var count: Int { Counter.count &+ HandoverReason.count &+ DropReason.count }
}
