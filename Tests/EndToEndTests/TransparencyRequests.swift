import KernelTestSupport
import TestSupport

/// Requests for the transparency suite, the same ones every time: what browsers send, and everything next to it.
enum TransparencyRequests {
  static func get(
    _ target: String, _ version: String = "1.1", host: String = "www.example.org", _ lines: String...
  )
    -> [UInt8]
  {
    Array((["GET \(target) HTTP/\(version)", "Host: \(host)"] + lines).map { $0 + "\r\n" }.joined().utf8) + [13, 10]
  }

  /// A request for each object the heads below ask for.
  static let objects: [[UInt8]] =
    ["/", "/index.html", "/style.css", "/static/app.js", "/images/swift.png"].map { get($0) } + [
      get("/index.html", host: "192.0.2.1:8080"), get("/", host: "localhost:8080"),
    ]

  /// The same for `negotiating`, whose requests have a Host of their own.
  static let negotiated = ["/style.css", "/index.html", "/images/swift.png"].map { get($0, host: "apus.test") }

  static func all() -> [Conversation] {
    valid() + odd() + bytewise() + mutated(count: 800) + split() + together() + kept()
  }

  /// What clients send that have an answer already, and say its validators again, or nearly so.
  static func conditional(tag: String, date: String) -> [Conversation] {
    let tags = [
      tag, "W/" + tag, tag.replacing("W/", with: ""), "*", "\"x\", \(tag)", "\(tag), \"x\"", tag.dropLast() + "x\"",
    ]
    let dates = [date, "Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1998 00:00:00 GMT", date.dropLast(3) + "UTC"]
    var conditions = tags.map { ["If-None-Match: \($0)"] } + dates.map { ["If-Modified-Since: \($0)"] }
    for tag in tags { conditions += dates.map { ["If-None-Match: \(tag)", "If-Modified-Since: \($0)"] } }
    var conversations: [Conversation] = []
    for method in ["GET", "HEAD"] {
      for version in ["1.0", "1.1"] {
        for connection in ["close", "keep-alive"] {
          conversations += conditions.map { conditions in
            let lines = ["\(method) /style.css HTTP/\(version)", "Host: apus.test"] + conditions
            return Conversation(
              Array((lines + ["Connection: \(connection)", "", ""]).joined(separator: "\r\n").utf8))
          }
        }
      }
    }
    return conversations
  }

  /// Values of Accept-Encoding that are asked for often.
  static let encodings = [
    "identity", "gzip", "gzip, deflate", "gzip, deflate, br", "gzip, deflate, br, zstd", "deflate, gzip",
    "deflate, gzip, br, zstd",
  ]

  /// What clients send to a server that compresses.
  static func negotiating(tags: [String], date: String) -> [Conversation] {
    let odd = [
      "", " gzip", "gzip ", "GZIP", "x-gzip", "gzip,deflate", "gzip,", "gzip;q=0", "gzip;q=0.5, identity;q=1", "*",
      "*;q=0", "identity;q=0", "br", "deflate", "zstd", "gzip, gzip", "gzip/1", "gzi", "gzipp", "x",
      String(repeating: "gzip, ", count: 20) + "gzip",
    ]
    let conditions =
      [[]] + tags.map { ["If-None-Match: \($0)"] } + [["If-Modified-Since: \(date)"]]
      + tags.map { ["If-None-Match: \($0)", "If-Modified-Since: \(date)"] }
    var conversations: [Conversation] = []
    for version in ["1.0", "1.1"] {
      for connection in [[], ["Connection: close"], ["Connection: keep-alive"]] {
        for method in ["GET", "HEAD"] {
          func request(_ target: String, _ lines: [String]) -> [UInt8] {
            let all = ["\(method) \(target) HTTP/\(version)", "Host: apus.test"] + connection + lines + ["", ""]
            return Array(all.joined(separator: "\r\n").utf8)
          }
          for value in encodings {
            let field = "Accept-Encoding: \(value)"
            conversations += conditions.map { Conversation(request("/style.css", [field] + $0)) }
            conversations.append(Conversation(request("/images/swift.png", [field, "User-Agent: Mozilla/4.0"])))
          }
          conversations += odd.map { Conversation(request("/style.css", ["Accept-Encoding: \($0)"])) }
          conversations.append(
            Conversation(request("/style.css", ["Accept-Encoding: gzip", "Accept-Encoding: deflate"])))
        }
      }
    }
    // On kept connections, each kind after each other.
    for first in encodings + odd {
      let requests = ([first] + encodings).flatMap { value in
        [
          get("/style.css", "1.1", host: "apus.test", "Accept-Encoding: \(value)"),
          get("/index.html", host: "apus.test"),
        ]
      }
      conversations.append(Conversation(inTurn: requests))
    }
    return conversations + valid() + kept()
  }

  /// What clients really send, a connection each.
  private static func valid() -> [Conversation] {
    var heads = BrowserHeads.all + objects
    for version in ["1.0", "1.1"] {
      for connection in ["close", "keep-alive", "Keep-Alive", "CLOSE"] {
        for target in ["/", "/style.css", "/static/app.js"] {
          heads.append(get(target, version, "Connection: \(connection)"))
        }
      }
      heads.append(get("/style.css", version))
    }
    return heads.map { Conversation($0) }
  }

  /// What servers differ in.
  private static func odd() -> [Conversation] {
    let targets = [
      "/style.css?", "/style.css?a=b", "/style.css#x", "//style.css", "/./style.css", "/static/../style.css",
      "/%73tyle.css", "/style%2Ecss", "/style.css%00", "/STYLE.CSS", "/style.css/", "/static", "/static/", "/missing",
      "/../style.css", "/style.css;x", "http://www.example.org/style.css", "http://other.test/style.css", "*",
      "style.css",
      "/style.css\t", "/sty le.css", "/style.css%", "/style.css%zz", "\\style.css", "/\u{e4}", "/.", "/..",
    ]
    let lines = [
      "Range: bytes=0-9", "Range: bytes=5-", "Range: bytes=900-", "Range: x", "If-None-Match: *",
      "If-None-Match: \"x\"", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", "If-Modified-Since: x",
      "If-Unmodified-Since: Thu, 01 Jan 1998 00:00:00 GMT", "If-Match: \"x\"", "If-Range: \"x\"",
      "Expect: 100-continue", "Expect: x", "Upgrade: h2c", "Upgrade: websocket", "Content-Length: 0",
      "Content-Length: 5", "Content-Length: x", "Transfer-Encoding: chunked", "Transfer-Encoding: x", "TE: trailers",
      "Authorization: Basic YTpi", "Cookie: a=b", "Accept: image/png", "Accept: */*;q=0", "Accept-Encoding: gzip",
      "Accept-Encoding: identity;q=0", "Accept-Encoding: *;q=0", "Accept-Language: de", "Accept-Charset: utf-8",
      "Connection: close, keep-alive", "Connection: upgrade", "Connection: x", "Connection:", "Connection: close\t",
      "Connection:  close", "connection:close", "Keep-Alive: 300", "Proxy-Connection: close", "Host: other.test",
      "Cache-Control: no-cache", "Cache-Control: only-if-cached", "Pragma: no-cache", "Via: 1.0 x", "Max-Forwards: 0",
      "X-Forwarded-For: 192.0.2.9", "X-HTTP-Method-Override: DELETE", "x_y: z", "X: ", "X:y", "X : y", ": y", "X",
      " folded", "\tfolded", "X: a\r\n b", "X: \u{1}", "X: \u{7f}", "X: \u{fc}", "X: a\rb", "X: a\nY: b",
      "Origin: null",
      "Referer: \"", "User-Agent:", "Date: x", "Accept-Encoding: gzip, deflate, br, zstd", "Via: 1.1 y, 1.0 z",
      "X: " + String(repeating: "y", count: 900), "X: " + String(repeating: "y", count: 3000),
    ]
    let starts = [
      "HEAD /style.css HTTP/1.1", "OPTIONS /style.css HTTP/1.1", "OPTIONS * HTTP/1.1", "POST /style.css HTTP/1.1",
      "PUT /style.css HTTP/1.1", "DELETE /style.css HTTP/1.1", "TRACE /style.css HTTP/1.1", "get /style.css HTTP/1.1",
      "GET /style.css HTTP/1.2", "GET /style.css HTTP/2.0", "GET /style.css HTTP/0.9", "GET /style.css http/1.1",
      "GET /style.css HTTP/1.1 ", "GET  /style.css HTTP/1.1", " GET /style.css HTTP/1.1", "GET /style.css  HTTP/1.1",
      "GET\t/style.css\tHTTP/1.1", "GET /style.css HTTP/11", "GET /style.css HTTP/1.10", "GET /style.css",
      "\r\nGET /style.css HTTP/1.1", "\nGET /style.css HTTP/1.1", "CONNECT x:80 HTTP/1.1", "XYZ /style.css HTTP/1.1",
      "PRI * HTTP/2.0", "GET /style.css HTTPS/1.1", "GET /style.css HTTP/1.1\u{0}",
    ]
    let hosts = [
      "WWW.EXAMPLE.ORG", "www.example.org.", "www.example.org:80", "", "a b", "[::1]", "x_y", "192.0.2.1", ".",
    ]
    var conversations = targets.map { Conversation(get($0)) }
    for version in ["1.0", "1.1"] { conversations += lines.map { Conversation(get("/style.css", version, $0)) } }
    conversations += starts.map { Conversation(Array("\($0)\r\nHost: www.example.org\r\n\r\n".utf8)) }
    conversations += hosts.map { Conversation(get("/style.css", host: $0)) }
    conversations += ["1.0", "1.1"].map { Conversation(Array("GET /style.css HTTP/\($0)\r\n\r\n".utf8)) }
    return conversations
  }

  /// A request with each of its bytes replaced, left out, or put twice.
  private static func bytewise() -> [Conversation] {
    let head = get("/style.css", "1.1", "Connection: close")
    var random = SplitMix64(seed: 9)
    return head.indices.flatMap { place -> [Conversation] in
      var variants = [0x20, 0x0d, 0x0a, 0x3a, 0x00, random.next() & 0xff].map { byte in
        var changed = head
        changed[place] = UInt8(byte)
        return changed
      }
      variants.append(Array(head[..<place] + head[(place + 1)...]))
      variants.append(Array(head[...place] + head[place...]))
      var lifted = head
      lifted[place] ^= 0x20
      variants.append(lifted)
      return variants.map { Conversation($0) }
    }
  }

  private static func mutated(count: Int) -> [Conversation] {
    var mutator = HeadMutator(seed: 2005)
    return (0..<count).map { _ in Conversation(mutator.next()) }
  }

  /// In two segments, cut at every byte.
  private static func split() -> [Conversation] {
    let head = get("/static/app.js", "1.1", "User-Agent: x")
    return (1..<head.count).map { Conversation(Array(head[..<$0]), Array(head[$0...])) }
  }

  /// Several requests at once, in one segment or in one each.
  private static func together() -> [Conversation] {
    let (page, style) = (get("/index.html"), get("/style.css"))
    let last = get("/style.css", "1.1", "Connection: close")
    let sets = [
      [page, style], [style, style, style], [page, last], [last, page], [page, get("/missing"), style],
      [get("/missing"), page], [style, Array("x\r\n\r\n".utf8)], [style, Array("GET".utf8)],
      [style, Array("\r\n".utf8), page], [get("/style.css", "1.0"), page],
      [get("/style.css", "1.0", "Connection: keep-alive"), page], [page, get("/style.css", "1.1", "Range: bytes=0-4")],
    ]
    return sets.flatMap { [Conversation(atOnce: $0, merged: true), Conversation(atOnce: $0, merged: false)] }
  }

  /// On kept connections: hits, then something else, then what would be hits.
  private static func kept() -> [Conversation] {
    var mutator = HeadMutator(seed: 1119)
    let style = get("/style.css")
    var conversations = [Conversation(inTurn: objects), Conversation(inTurn: Array(repeating: style, count: 30))]
    for _ in 0..<60 { conversations.append(Conversation(inTurn: [style, get("/"), mutator.next(), style])) }
    for head in BrowserHeads.all { conversations.append(Conversation(inTurn: [style, head, head, style])) }
    return conversations
  }
}
