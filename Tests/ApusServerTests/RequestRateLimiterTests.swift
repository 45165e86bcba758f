import NIOCore
import Testing

@testable import ApusServer

@Suite("Request rates and connections of clients")
struct RequestRateLimiterTests {
  private func client(_ address: String, ipv4: Int = 32, ipv6: Int = 64) throws -> ClientPrefix? {
    var lengths = ClientPrefixLengths()
    lengths.ipv4 = ipv4
    lengths.ipv6 = ipv6
    return ClientPrefix(try SocketAddress(ipAddress: address, port: 1), lengths)
  }

  @Test("a burst is answered, then as many a second as the rate says, and a pause makes room for a burst again")
  func rate() throws {
    let limiter = RequestRateLimiter(RequestRate(requestsPerSecond: 10, burst: 3))
    let one = try #require(try client("192.0.2.1"))
    let other = try #require(try client("192.0.2.2"))
    func ask(_ client: ClientPrefix, at_ms: Int) -> Int? {
      limiter.retryAfter_s(client, now_ns: 1_000_000_000_000 + at_ms * 1_000_000)
    }
    for _ in 0..<3 { #expect(ask(one, at_ms: 0) == nil) }
    for _ in 0..<5 { #expect(ask(one, at_ms: 0) == 1, "what is refused is not counted") }
    #expect(ask(other, at_ms: 0) == nil)
    #expect(ask(one, at_ms: 99) != nil)
    #expect(ask(one, at_ms: 100) == nil)
    #expect(ask(one, at_ms: 101) != nil)
    for _ in 0..<3 { #expect(ask(one, at_ms: 1000) == nil) }
    #expect(ask(one, at_ms: 1000) != nil)
  }

  @Test("Retry-After is the time after which a request is answered")
  func retryAfter() throws {
    let limiter = RequestRateLimiter(RequestRate(requestsPerSecond: 0.25, burst: 1))
    let one = try #require(try client("192.0.2.1"))
    #expect(limiter.retryAfter_s(one, now_ns: 0) == nil)
    #expect(limiter.retryAfter_s(one, now_ns: 500_000_000) == 4)
    #expect(limiter.retryAfter_s(one, now_ns: 4_000_000_000) == nil)
  }

  @Test("far more clients than the table has places: each may begin, and who asks all the time stays limited")
  func manyClients() throws {
    let limiter = RequestRateLimiter(RequestRate(requestsPerSecond: 1000, burst: 1))
    let greedy = try #require(try client("192.0.2.1"))
    var refused = 0
    for index in 0..<200_000 {
      let address = "\(10 + index >> 16).\(index >> 8 & 255).\(index & 255).7"
      // 1 µs between clients; the greedy one asks every 10 µs, and may every 1000.
      let now_ns = 1_000_000_000 + index * 1000
      #expect(limiter.retryAfter_s(try #require(try client(address)), now_ns: now_ns) == nil)
      if index % 10 == 0, limiter.retryAfter_s(greedy, now_ns: now_ns) != nil { refused += 1 }
    }
    #expect(refused > 19_000)
  }

  @Test("prefixes tell clients apart")
  func prefixes() throws {
    #expect(try client("192.0.2.1") != client("192.0.2.2"))
    #expect(try client("192.0.2.1", ipv4: 24) == client("192.0.2.200", ipv4: 24))
    #expect(try client("192.0.2.1", ipv4: 24) != client("192.0.3.1", ipv4: 24))
    #expect(try client("192.0.2.1", ipv4: 0) == client("203.0.113.9", ipv4: 0))
    #expect(try client("2001:db8::1") == client("2001:db8::2"))
    #expect(try client("2001:db8:0:1::1") != client("2001:db8:0:2::1"))
    #expect(try client("2001:db8:0:1::1", ipv6: 56) == client("2001:db8:0:2::1", ipv6: 56))
    #expect(try client("::1") != client("0.0.0.1"))
  }

  @Test("connections are counted for each client")
  func connections() throws {
    let connections = ClientConnections(countMax: 2)
    let one = try #require(try client("192.0.2.1"))
    let other = try #require(try client("192.0.2.2"))
    #expect(connections.acquire(one) && connections.acquire(one) && !connections.acquire(one))
    #expect(connections.acquire(other))
    connections.release(one)
    #expect(connections.acquire(one) && !connections.acquire(one))
  }
}
