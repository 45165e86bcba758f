import Contract

/// A client's address: IPv6, or IPv4 mapped into it (RFC 4291 section 2.5.5.2), in network byte order.
struct ClientAddress: Sendable, Equatable {
  var words: (UInt64, UInt64)

  init(_ words: (UInt64, UInt64)) { self.words = words }

  /// - Parameter ipv4: network byte order.
  init(ipv4: UInt32) { words = (0, UInt64(0xffff_0000) | UInt64(ipv4) << 32) }

  /// The IPv4 address in network byte order, if it is one.
  var ipv4: UInt32? {
    words.0 == 0 && UInt32(truncatingIfNeeded: words.1) == 0xffff_0000 ? UInt32(words.1 >> 32) : nil
  }

  static func == (left: Self, right: Self) -> Bool { left.words == right.words }
}

/// What became of a request, for a line of the access log. What was asked is read from the request itself.
struct AccessEntry: Sendable, Equatable {
  /// Who dealt with it.
  enum Outcome: Sendable, Equatable {
    /// Answered from the kernel.
    case kernel
    /// Answered by the user half.
    case user
    /// Handed over by the kernel part.
    case handover(HandoverReason?)
  }

  var outcome: Outcome
  /// CLOCK_REALTIME: of the answer in the kernel; in the user half of the last byte of the request's head.
  var time_ns: Int64
  var client: ClientAddress
  /// Host byte order.
  var clientPort: UInt16
  /// 0: there was no answer.
  var status: Int
  /// Bytes of the body as it was sent, chunk framing not among them.
  var bodyBytes: Int
  /// From the last byte of the head to the last byte of the answer given to the kernel; where it is known.
  var duration_ns: Int64?
  var isTLS = false
  /// The request came over HTTP/2, whatever version stands in its translation.
  var isHTTP2 = false
}

extension AccessEntry {
  /// What the kernel part tells, and the request behind it; `nil` if it is not an event as the contract has it.
  static func read(_ event: UnsafeRawBufferPointer) -> (entry: AccessEntry, request: UnsafeRawBufferPointer)? {
    guard event.count >= AccessEvent.byteCount else { return nil }
    let header = event.loadUnaligned(as: AccessEvent.self)
    guard AccessEvent.byteCount + Int(header.headLength) <= event.count else { return nil }
    let outcome: Outcome
    switch header.kind {
    case AccessEvent.hit: outcome = .kernel
    case AccessEvent.handover: outcome = .handover(HandoverReason(rawValue: UInt32(header.reason)))
    default: return nil
    }
    let entry = AccessEntry(
      outcome: outcome, time_ns: Int64(clamping: header.time_ns), client: ClientAddress(header.remoteAddress),
      clientPort: UInt16(bigEndian: header.remotePort), status: Self.status(header.status),
      bodyBytes: outcome == .kernel ? Int(header.bodyBytes) : 0)
    let end = AccessEvent.byteCount + Int(header.headLength)
    return (entry, UnsafeRawBufferPointer(rebasing: event[AccessEvent.byteCount..<end]))
  }

  /// The number that three digits and a space stand for, the first in the lowest byte; 0: they are something else.
  static func status(_ text: UInt32) -> Int {
    var status = 0
    for place in 0..<3 {
      let digit = Int(text >> (place * 8) & 0xff) - 0x30
      guard (0...9).contains(digit) else { return 0 }
      status = status * 10 + digit
    }
    return status
  }
}
