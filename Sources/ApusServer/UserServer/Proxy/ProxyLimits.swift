/// Every limit of the reverse proxy, but for those that can be set: `ProxyTimeouts`. Units are last in the names.
enum ProxyLimits {
  /// Of an upstream's response head; a longer one is answered 502.
  static let headBytesMax = 64 * 1024
  static let fieldLinesMax = 256
  /// A line with a chunk's size and its extensions, which are dropped.
  static let chunkLineBytesMax = 1024
  /// Trailer fields, which are dropped.
  static let trailerBytesMax = 16 * 1024
  /// Bytes of one read from an upstream.
  static let readBytes = 32 * 1024
  /// Interim responses before a final one.
  static let interimResponsesMax = 16
  /// Connections to the upstream for each event loop; a request beyond is answered 503.
  static let connectionsMax = 2048
  /// Connections kept open between requests for each event loop.
  static let idleConnectionsMax = 64
  /// A request that must not be sent twice is sent on a kept connection only if that was in use a moment ago: the
  /// upstream may be closing it just now, and then nobody knows whether the request was carried out.
  static let idleUnsafe_s = 1
  /// Requests that passed Apus this often go in a circle: 502.
  static let passesMax = 8
}
