import Wire

/// The four-tuple of a connection as its packets from the client carry it; key of the connections map, and the IPv6 part
/// of `struct bpf_sock_tuple`. 36 bytes, network byte order.
public struct FlowKey: Hashable, Sendable, BitwiseCopyable {
  public var remoteAddress: IPAddress
  public var localAddress: IPAddress
  public var remotePort: UInt16
  public var localPort: UInt16
  @inline(__always)
  public init(remoteAddress: IPAddress, localAddress: IPAddress, remotePort: UInt16, localPort: UInt16) {
    self.remoteAddress = remoteAddress
    self.localAddress = localAddress
    self.remotePort = remotePort
    self.localPort = localPort
  }
}

/// The states of a connection the kernel part holds. `none` is the absence of an entry.
public enum ConnectionState {
  public static var none: UInt8 { 0 }
  /// Everything sent is acknowledged; the next segment at `receiveNext` is a request.
  public static var idle: UInt8 { 1 }
  /// A response is sent and not yet acknowledged.
  public static var answering: UInt8 { 2 }
  /// Our FIN is sent.
  public static var closing: UInt8 { 3 }
  /// Given to a listener; the socket has not been seen yet.
  public static var handedOver: UInt8 { 4 }
}

/// What the kernel part remembers of a connection. 64 bytes.
public struct Connection: BitwiseCopyable {
  /// RCV.NXT (RFC 9293 section 3.3.1): the next sequence number expected from the client.
  public var receiveNext = SequenceNumber(0)
  /// SND.NXT: the next sequence number to send.
  public var sendNext = SequenceNumber(0)
  /// Where the last answered request began, and where its response did.
  public var requestSequence = SequenceNumber(0)
  public var responseSequence = SequenceNumber(0)
  /// SND.UNA: the oldest unacknowledged sequence number.
  public var sendUnacknowledged = SequenceNumber(0)
  /// What the response was made from, which version of it, and in which form: whoever answers says what the numbers
  /// mean. A retransmission repeats the same bytes or none.
  public var source: UInt32 = 0
  public var generation: UInt32 = 0
  public var form: UInt16 = 0
  /// SEG.WND of the last acknowledgement.
  public var lastWindow: UInt16 = 0
  /// CLOCK_REALTIME second its Date named.
  public var responseSecond: UInt32 = 0
  /// Requests answered on this connection, up to 65535.
  public var answered: UInt16 = 0
  /// The `tick` at which a response of several segments was sent, and then that at which the client's time-out was noticed.
  public var timeoutTick: UInt16 = 0
  /// The largest segment the client takes, in bytes without headers.
  public var segmentSizeMax: UInt16 = 0
  /// Bytes of the last answered request.
  public var requestLength: UInt16 = 0
  public var state: UInt8 = ConnectionState.none
  /// 1: the client's FIN has been received.
  public var peerClosed: UInt8 = 0
  public var options = AgreedOptions.none
  /// 1: the request is not acknowledged before the whole response is.
  public var owed: UInt8 = 0
  /// Added to the clock for our timestamps.
  public var timestampOffset: UInt32 = 0
  /// TS.Recent (RFC 7323 section 4.3): the client's timestamp to send back.
  public var peerTimestamp: UInt32 = 0
  /// cwnd (RFC 5681), in segments.
  public var congestionWindow = InitialWindow.segments
  /// Duplicate acknowledgements in a row.
  public var duplicates: UInt8 = 0
  public var recovery = Recovery.none
  /// `congestionWindow` before the client's time-out.
  public var windowBeforeTimeout = InitialWindow.segments
  /// When the client's FIN, or something of it again, was acknowledged last: CLOCK_MONOTONIC_COARSE, in seconds, its
  /// lower half.
  public var endedSecond: UInt16 = 0
  /// The shortest round trip seen, in milliseconds.
  public var roundTrip = RoundTrip.unknown

  @inline(__always) public init() {}

  /// A connection without options on which nothing has been said yet.
  @inline(__always)
  public init(receiveNext: SequenceNumber, sendNext: SequenceNumber, segmentSizeMax: UInt16) {
    self.receiveNext = receiveNext
    self.sendNext = sendNext
    self.segmentSizeMax = segmentSizeMax
    requestSequence = receiveNext
    responseSequence = sendNext
    sendUnacknowledged = sendNext
    state = ConnectionState.idle
  }

  /// The connection a right cookie speaks of, before its first request.
  @inline(__always) public init(opening segment: Segment, _ proof: CookieProof) {
    self.init(
      receiveNext: segment.sequence, sendNext: segment.acknowledgement,
      segmentSizeMax: SegmentSizes.size(in: segment.acknowledgement &- 1))
    options = AgreedOptions(echoedBy: segment, clockOffset: proof.timestampOffset)
    timestampOffset = options.clockOffset(proof.timestampOffset)
    peerTimestamp = segment.options.timestamp
    noteRoundTrip(segment)
  }

  @inline(__always) public var owesAcknowledgement: Bool { owed != 0 }
  /// Bytes of payload a segment to the client has room for.
  @inline(__always) public var payloadMax: UInt16 { segmentSizeMax &- options.byteCount }
  /// SND.WND as a segment says it (RFC 7323 section 2.3).
  @inline(__always) public func window(of segment: Segment) -> UInt32 {
    UInt32(segment.window) &<< UInt32(options.windowShift & 15)
  }

  /// A segment of ours, sent because of another.
  @inline(__always)
  public func reply(
    to segment: Segment, sequence: SequenceNumber, acknowledgement: SequenceNumber, flags: UInt8
  ) -> Reply {
    var reply = Reply(sequence: sequence, acknowledgement: acknowledgement, flags: flags)
    reply.window = options.hasWindowScale ? ReceiveWindow.scaled : ReceiveWindow.size
    reply.options = options
    reply.timestamp = segment.time &+ timestampOffset
    reply.echo = peerTimestamp
    return reply
  }
}
