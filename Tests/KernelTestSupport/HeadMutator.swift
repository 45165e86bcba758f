/// Makes heads that are a little wrong, the same ones every time.
public struct HeadMutator {
  private var random: SplitMix64

  public init(seed: UInt64) { random = SplitMix64(seed: seed) }

  private static let delicate: [UInt8] =
    Array("\r\n\t :,;/?.-_%@#HhGg019Zz[]{}`^~\u{0}\u{7f}".utf8) + [0x80, 0xff, 0x1a, 0x0b]
  private static let lines = [
    "Host: b", "host:b", "HOST : b", "Connection: close", "CONNECTION:close", "Connection:  close",
    "Connection: keep-alive", "connectixx: close", "Connection: close, keep-alive", "Content-Length: 0",
    "Transfer-Encoding: chunked", "Range: bytes=0-", "If-None-Match: \"x\"", "If-Rangex: 1", "Upgrade: h2c",
    "Upgrade-Insecure-Requests: 1", "X: y", "X:", ":", " folded", "\tfolded", "x_y: 1", "Expect: 100-continue", "",
    "TE: x", "Tea: x", "Accept: a\tb", "Cookie: \u{e4}", "Content-Lengthy: 1", "Connection:", "Host:",
    "Host: [::1]", "Host: [2001:db8::A]:80", "Host: [::1}", "Host: {::1]", "Host: [::1]:", "Host: [1]:8",
    "If-None-Match: *", "If-None-Match: \"1\"", "if-none-match: W/\"1\"", "If-None-Match: \"x\", \"1\"",
    "If-None-Match: \"a, b\",W/\"1\"", "If-None-Match: \"1\" , \"2\"", "If-None-Match: 1", "If-None-Match: w/\"1\"",
    "If-None-Match: \"\", ,\"1\"", "If-None-Match: \"1", "If-None-Match: \"1\"x",
    "If-None-Match: \"" + String(repeating: "t", count: 62) + "\"", "If-None-Matcx: \"1\"",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT",
    "If-Modified-Sincx: Sun, 06 Nov 1994 08:49:37 GMT", "If-ModifXed-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    "Accept-Encoding: gzip", "accept-encoding:br;q=0.5,gzip;q=0.501", "Accept-Encoding: identity, *;q=0.2",
    "Accept-Encoding: *", "Accept-Encoding: br;q=0, zstd; q=1.000, x-gzip;q=1.001", "Accept-Encoding: gzip;Q=0.9,br",
    "Accept-Encoding: gzip,deflate,compress,br,zstd,dcb,dcz,aes128gcm", "Accept-Encoding:", "Accept-Encoding: , br",
    "Accept-Encoding: identity;q=0.9, gzip;q=0.8, br;q=1", "Accept-Encodinx: br", "Accept-Encoding: br;q=2",
  ].map { Array($0.utf8) }
  private static let pieces = [
    "\r\n\r\n", "\r\n", "\n", "\r", "GET / HTTP/1.1\r\n", " HTTP/1.1", "HTTP/1.0", "/../", "?a=b", "Host: ", ": ",
    "\r\n ",
  ].map { Array($0.utf8) }

  /// What is put into heads: field lines with their ends, and pieces of all kinds.
  public static var words: [[UInt8]] { lines.map { $0 + [0x0d, 0x0a] } + pieces }

  public mutating func next() -> [UInt8] {
    var head = random.element(of: BrowserHeads.all)
    for _ in 0..<random.below(4) { mutate(&head) }
    return head
  }

  private mutating func mutate(_ head: inout [UInt8]) {
    let place = random.below(max(head.count, 1))
    switch random.below(10) {
    case 0: if place < head.count { head[place] ^= 1 << UInt8(random.below(8)) }
    case 1: if place < head.count { head[place] = random.element(of: Self.delicate) }
    case 2: head.insert(random.element(of: Self.delicate), at: place)
    case 3: if place < head.count { head.remove(at: place) }
    case 4, 5, 6: insertLine(&head)
    case 7: moveLine(&head)
    case 8: head.insert(contentsOf: random.element(of: Self.pieces), at: place)
    default:
      if random.below(3) == 0 { head.removeLast(random.below(min(6, head.count))) } else { changeCase(&head, place) }
    }
  }

  private func lineStarts(_ head: [UInt8]) -> [Int] {
    head.indices.dropFirst(2).filter { head[$0 - 1] == 0x0a && head[$0 - 2] == 0x0d }
  }

  private mutating func insertLine(_ head: inout [UInt8]) {
    let starts = lineStarts(head)
    guard !starts.isEmpty else { return }
    head.insert(contentsOf: random.element(of: Self.lines) + [0x0d, 0x0a], at: random.element(of: starts))
  }

  /// Copies a line elsewhere, or takes it away.
  private mutating func moveLine(_ head: inout [UInt8]) {
    let starts = lineStarts(head)
    guard starts.count > 1 else { return }
    let line = random.below(starts.count - 1)
    let content = Array(head[starts[line]..<starts[line + 1]])
    if random.below(2) == 0 { head.removeSubrange(starts[line]..<starts[line + 1]) }
    let places = lineStarts(head)
    if random.below(3) != 0, !places.isEmpty { head.insert(contentsOf: content, at: random.element(of: places)) }
  }

  private func changeCase(_ head: inout [UInt8], _ place: Int) {
    for index in place..<min(place + 12, head.count) {
      let lower = head[index] | 0x20
      if lower >= 0x61 && lower <= 0x7a { head[index] ^= 0x20 }
    }
  }
}
