import Testing

/// Request heads as programs really send them.
struct RequestHead: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// Field lines after Host, each with its CR LF.
  let fields: String

  func text(_ target: String) -> String { "GET \(target) HTTP/1.1\r\nHost: www.swifts.example\r\n\(fields)\r\n" }

  private init(_ name: String, _ lines: [String]) {
    testDescription = name
    fields = lines.map { $0 + "\r\n" }.joined()
  }

  private static let cookies =
    "Cookie: session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkFwdXMifQ."
    + "c3dpZnRzLXNsZWVwLW9uLXRoZS13aW5n; theme=dark; consent=necessary%2Canalytics; _ga=GA1.1.1186420053.1731234567; "
    + "_ga_9XKQ2V7P4D=GS1.1.1731234567.12.1.1731237890.0.0.0; lang=en-GB"

  static let curl = RequestHead("curl", ["User-Agent: curl/7.88.1", "Accept: */*"])
  static let wget = RequestHead(
    "wget", ["User-Agent: Wget/1.21.3", "Accept: */*", "Accept-Encoding: identity", "Connection: Keep-Alive"])

  static let chrome = RequestHead(
    "Chrome",
    [
      "Connection: keep-alive",
      "sec-ch-ua: \"Google Chrome\";v=\"131\", \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"",
      "sec-ch-ua-mobile: ?0",
      "sec-ch-ua-platform: \"Linux\"",
      "Upgrade-Insecure-Requests: 1",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
        + "Safari/537.36",
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
        + "application/signed-exchange;v=b3;q=0.7",
      "Sec-Fetch-Site: same-origin",
      "Sec-Fetch-Mode: navigate",
      "Sec-Fetch-User: ?1",
      "Sec-Fetch-Dest: document",
      "Referer: http://www.swifts.example/species/apus-apus/index.html",
      "Accept-Encoding: gzip, deflate, br, zstd",
      "Accept-Language: en-GB,en;q=0.9,de-DE;q=0.8,de;q=0.7,en-US;q=0.6",
      cookies,
    ])

  static let firefox = RequestHead(
    "Firefox",
    [
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
      "Accept-Encoding: gzip, deflate, br, zstd",
      "DNT: 1",
      "Sec-GPC: 1",
      "Connection: keep-alive",
      cookies,
      "Upgrade-Insecure-Requests: 1",
      "Sec-Fetch-Dest: document",
      "Sec-Fetch-Mode: navigate",
      "Sec-Fetch-Site: none",
      "Sec-Fetch-User: ?1",
      "Priority: u=0, i",
    ])

  static let safari = RequestHead(
    "Safari",
    [
      "Upgrade-Insecure-Requests: 1",
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        + "Version/18.1 Safari/605.1.15",
      "Accept-Language: en-GB,en;q=0.9",
      "Priority: u=0, i",
      "Accept-Encoding: gzip, deflate",
      "Connection: keep-alive",
    ])

  static let all = [curl, wget, chrome, firefox, safari]
}
