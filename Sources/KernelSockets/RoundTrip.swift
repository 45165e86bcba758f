import BPFKernel
import Wire

/// What a round trip takes, for whoever the connection is handed over to.
///
/// The new socket's first estimate is the age of the timestamp its first segment sends back (tcp_synack_rtt_meas), and in
/// that is the time the client took for its request. From an estimate of seconds the kernel would wait for seconds before
/// it sends again what is lost, and BBR would pace the first answer by it. So the connection keeps the shortest time it has
/// seen, and the segment says that.
public enum RoundTrip {
  /// An estimate that is longer is none: rather the time was the client's. In milliseconds. Without one the kernel waits
  /// for a second (tcp_schedule_loss_probe) where it would wait for two round trips.
  public static var longest: UInt16 { 250 }
  /// No estimate at all.
  public static var unknown: UInt16 { .max }
  /// How far ahead of our clock a timestamp must be for the kernel to take nothing from it (tcp_rtt_tsopt_us).
  static var ahead: UInt32 { 1000 }
}

extension Connection {
  /// A segment has acknowledged all that was sent.
  @inline(__always) mutating func noteRoundTrip(_ segment: Segment) {
    if !options.hasTimestamps { return }
    // What a client makes up may be ahead of the clock; that is no short time, but a very long one.
    let age = segment.time &+ timestampOffset &- segment.options.echo
    if age < UInt32(roundTrip) { roundTrip = UInt16(truncatingIfNeeded: age) }
  }

  /// What a segment that is handed over should send back, for its age to be a round trip or none. `nil`: what it does.
  @inline(__always) func correctedEcho(of segment: Segment) -> UInt32? {
    if !options.hasTimestamps { return nil }
    let now = segment.time &+ timestampOffset
    if roundTrip > RoundTrip.longest { return now &+ RoundTrip.ahead }
    return now &- segment.options.echo > UInt32(roundTrip) ? now &- UInt32(roundTrip) : nil
  }
}

extension SocketServer {
  /// Makes the segment's timestamp say what a round trip takes, where it says more and stands where nearly everybody has
  /// it.
  @inline(__always) func correctEcho() {
    guard let echo = connection.correctedEcho(of: segment) else { return }
    let transport = segment.transportOffset & 63
    let place = Int(transport) &+ TCPHeader.byteCount
    guard let option = packet.bytes(Int(TCPOption.timestampsByteCount), at: place),
      option.word32(0) == SegmentOptions.alignedTimestamps
    else { return }
    memory.headers.put32(echo.bigEndian, 0)
    guard packet.store(UInt32(place) &+ 8, from: UnsafeRawPointer(memory.headers), length: 4) else { return }
    packet.replaceInChecksum(at: transport &+ 16, segment.options.echo.bigEndian, by: echo.bigEndian)
  }
}
