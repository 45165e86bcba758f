/// Heads as programs send them.
public enum BrowserHeads {
  public static let curl = head(
    "GET /index.html HTTP/1.1", "Host: www.example.org", "User-Agent: curl/8.14.1", "Accept: */*")
  public static let wget = head(
    "GET /index.html HTTP/1.1", "Host: www.example.org", "User-Agent: Wget/1.25.0", "Accept: */*",
    "Accept-Encoding: identity", "Connection: Keep-Alive")
  public static let wrk = head("GET /index.html HTTP/1.1", "Host: 192.0.2.1:8080")
  public static let apacheBench = head(
    "GET /index.html HTTP/1.0", "Host: www.example.org", "User-Agent: ApacheBench/2.3", "Accept: */*")
  public static let apacheBenchKeepAlive = head(
    "GET /index.html HTTP/1.0", "Connection: Keep-Alive", "Host: www.example.org", "User-Agent: ApacheBench/2.3",
    "Accept: */*")

  public static let chrome = head(
    "GET /static/app.js HTTP/1.1", "Host: www.example.org", "Connection: keep-alive",
    #"sec-ch-ua-platform: "Linux""#,
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    #"sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#, "DNT: 1",
    "sec-ch-ua-mobile: ?0", "Accept: */*", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors",
    "Sec-Fetch-Dest: script", "Referer: http://www.example.org/", "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7", "Cookie: " + cookies(5))
  public static let chromeNavigation = head(
    "GET / HTTP/1.1", "Host: localhost:8080", "Connection: keep-alive", "Cache-Control: max-age=0",
    #"sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#, "sec-ch-ua-mobile: ?0",
    #"sec-ch-ua-platform: "Windows""#, "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
      + "Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
      + "application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-User: ?1", "Sec-Fetch-Dest: document",
    "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9", "Cookie: " + cookies(12))
  public static let firefox = head(
    "GET /style.css HTTP/1.1", "Host: www.example.org",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Accept: text/css,*/*;q=0.1", "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br, zstd",
    "DNT: 1", "Sec-GPC: 1", "Connection: keep-alive", "Referer: http://www.example.org/index.html",
    "Cookie: " + cookies(3), "Sec-Fetch-Dest: style", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Site: same-origin",
    "Priority: u=2")
  public static let safari = head(
    "GET /images/swift.png HTTP/1.1", "Host: www.example.org",
    "Accept: image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
      + "image/*;q=0.8,*/*;q=0.5",
    "Sec-Fetch-Site: same-origin", "Cookie: " + cookies(2), "Sec-Fetch-Dest: image", "Accept-Language: en-GB,en;q=0.9",
    "Sec-Fetch-Mode: no-cors",
    "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
      + "Version/26.1 Safari/605.1.15",
    "Referer: http://www.example.org/", "Accept-Encoding: gzip, deflate", "Connection: keep-alive")

  /// Firefox again, by the reload button.
  public static let reload = head(
    "GET /style.css HTTP/1.1", "Host: www.example.org",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Accept: text/css,*/*;q=0.1", "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br, zstd",
    "Connection: keep-alive", "Referer: http://www.example.org/index.html", "Cookie: " + cookies(3),
    "Sec-Fetch-Dest: style", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", "If-None-Match: \"1\"",
    "Priority: u=2", "Cache-Control: max-age=0")
  public static let modifiedSince = head(
    "GET /index.html HTTP/1.1", "Host: www.example.org", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")
  public static let noneMatch = head(
    "HEAD /index.html HTTP/1.1", "Host: a", "If-None-Match: W/\"x\", \"5c1-0123456789abcdef\"",
    "Accept-Encoding: gzip;q=1.0, br;q=0.5, *;q=0")

  /// Everything above, the short ones more than once: mutations shall hit what matters.
  public static let all = [
    curl, wget, wrk, wrk, wrk, apacheBench, apacheBenchKeepAlive, curl, chrome, chromeNavigation, firefox, safari,
    reload, modifiedSince, noneMatch, noneMatch,
  ]

  public static func head(_ lines: String...) -> [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) }

  private static func cookies(_ count: Int) -> String {
    (0..<count).map { "session_\($0)=\(String(0x9e37_79b9_7f4a_7c15 &* UInt64($0 + 1), radix: 16))%2F_~\($0)" }
      .joined(separator: "; ")
  }
}
