/// Bits of `Control.accessLog`: what the kernel part tells the daemon for its access log.
public enum AccessLogSwitch {
  /// Every answer of the kernel part's own.
  public static var hits: UInt32 { 1 }
  /// Every request that is handed over.
  public static var handovers: UInt32 { 2 }
}

/// What became of a request. 40 bytes, then the request as it came, cut to `headLength` bytes: the daemon reads in it
/// what it logs, where there is time for that.
public struct AccessEvent: Sendable, BitwiseCopyable {
  public var kind: UInt16 = 0
  /// Of a hand-over: a `HandoverReason`.
  public var reason: UInt16 = 0
  /// At most `Limits.headBytesMax`.
  public var headLength: UInt16 = 0
  /// Network byte order.
  public var remotePort: UInt16 = 0
  /// CLOCK_REALTIME, from the coarse clock: a tick behind at most.
  public var time_ns: UInt64 = 0
  /// The four bytes behind the version of the status line: three digits and a space. 0: there is no answer.
  public var status: UInt32 = 0
  /// Bytes of the body that is sent: none for HEAD and 304.
  public var bodyBytes: UInt32 = 0
  /// The client's IPv6 address, or its IPv4 address mapped into one (RFC 4291 section 2.5.5.2); network byte order.
  public var remoteAddress: (UInt64, UInt64) = (0, 0)
  public init() {}

  public static var hit: UInt16 { 1 }
  public static var handover: UInt16 { 2 }
  public static var byteCount: Int { 40 }

  // Where the kernel part writes.
  public static var timeOffset: Int { 8 }
  public static var statusOffset: Int { 16 }
  public static var bodyBytesOffset: Int { 20 }
  public static var addressOffset: Int { 24 }
  /// Bytes of a status line before its status code: "HTTP/1.1 ".
  public static var statusPosition: Int { 9 }
}
