/// Every limit of TLS and HTTP/2. Units are last in the names. What one client may do many times in a row without
/// asking for anything is counted by NIOHTTP2, which closes the connection beyond its limit.
enum TLSLimits {
  /// From the connection to the end of the TLS handshake.
  static let handshakeTimeout_s = 10
  /// How often the certificate and key files are looked at.
  static let certificateCheckInterval_s = 1
  /// Bytes of one read from a connection: a TLS record (RFC 8446 section 5.1) and a little more.
  static let readBytes = 17 * 1024
  /// Bytes of a file read and encrypted at a time; more would only wait in memory.
  static let filePieceBytes = 64 * 1024
  /// From the first GOAWAY to the one that says which request is the last: a round trip of a slow client
  /// (RFC 9113 section 6.8).
  static let goAwayDelay_s = 1

  // MARK: HTTP/2

  /// Requests a connection may have open at a time (RFC 9113 section 5.1.2 asks for at least 100).
  static let concurrentStreamsMax = 128
  /// Window for the body of a request, of each stream; the connection's is the same four times.
  static let streamWindowBytes = 128 * 1024
  static let connectionWindowBytes = 4 * streamWindowBytes
  /// Bytes of an answer that a stream keeps before it stops taking more.
  static let streamBufferBytes = 64 * 1024
  /// CONTINUATION frames behind a HEADERS frame (CVE-2024-27316): a head of `ServerLimits.headBytesMax` needs two.
  static let continuationFramesMax = 4
  /// Empty DATA frames in a row (CVE-2019-9518).
  static let emptyDataFramesMax = 2
  /// Acknowledgements of PING and SETTINGS that wait for a client that does not read (CVE-2019-9512, -9515).
  static let bufferedControlFramesMax = 1000
  /// Streams the client resets (CVE-2023-44487), or that end by its errors, in `rateWindow_s`.
  static let streamResetsMax = 200
  static let streamErrorsMax = 100
  /// PING, SETTINGS and PRIORITY frames in `rateWindow_s`.
  static let controlFramesMax = 500
  static let rateWindow_s = 10
  /// Anything odd, over the life of a connection.
  static let glitchesMax = 200
}
