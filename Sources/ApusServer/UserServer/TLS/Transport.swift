import NIOCore

/// What carries a connection's requests and answers, as far as `ConnectionHandler` must know.
struct Transport {
  let isTLS: Bool
  /// Field lines of every answer, each with its CRLF.
  let furtherFields: ByteBuffer?
  /// The HTTP/2 stream, which carries one request and one answer.
  let stream: HTTP2StreamAdapter?

  static var plain: Transport { Transport(isTLS: false, furtherFields: nil, stream: nil) }
}
