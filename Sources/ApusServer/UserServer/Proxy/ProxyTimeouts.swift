/// How long the reverse proxy waits for whom. Time is looked at once a second: it may become a second more, not less.
public struct ProxyTimeouts: Sendable, Equatable {
  /// Until there is a connection to the upstream, its TLS handshake with it; then the answer is 504.
  public var connect_s = ServerLimits.connectTimeout_s
  /// Without a byte from the upstream, or taken by it, while one is waited for: 504, or where the response has begun
  /// its end.
  public var read_s = 60
  /// How long a connection to the upstream is kept between requests.
  public var idle_s = 30
  /// Without a byte of the request's body from the client, while the upstream would take it: 408.
  public var body_s = 30
  /// Without a byte either way after a change of protocol (WebSocket).
  public var tunnel_s = 600

  public init() {}

  var all_s: [Int] { [connect_s, read_s, idle_s, body_s, tunnel_s] }
}
