import Testing

@testable import ApusServer

@Suite("Site rules")
struct SiteRulesTests {
  @Test(
    "patterns match paths, and nothing else",
    arguments: [
      ("/a", "/a", true), ("/a", "/ab", false), ("/a", "/b/a", false), ("/a/*", "/a/b", true),
      ("/a/*", "/a/b/c", false), ("/a/*", "/a/", true), ("/a/**", "/a/b/c", true), ("/a/**", "/a", false),
      ("/a/**/c", "/a/c", true), ("/a/**/c", "/a/b/b/c", true), ("/a/**/c", "/a/bc", false),
      ("/**", "/", true), ("/**", "/x/y.z", true), ("*.css", "/s.css", true), ("*.css", "/a/b/s.css", true),
      ("*.css", "/s.css/x", false), ("*.css", "/s.css.map", false), ("img/*.png", "/x/img/a.png", true),
      ("img/*.png", "/x/img/y/a.png", false), ("/?.js", "/a.js", true), ("/?.js", "/ab.js", false),
      ("/?", "//", false), ("/*-*.*", "/a-b.c", true), ("/*-*.*", "/ab.c", false), ("/a**d", "/a/b/c/d", true),
      ("/**/*.min.*", "/a/b/x.min.js", true), ("/***", "/a/b", true), ("/é*", "/écrit", true),
    ])
  func patterns(pattern: String, path: String, matches: Bool) throws {
    #expect(try PathPattern(pattern).matches(Array(path.utf8)) == matches)
    #expect((try PathPattern(pattern).captures(Array(path.utf8)) != nil) == matches)
  }

  @Test("what stands for a part of a pattern is as short as it can be, and what is put together is the path")
  func captures() throws {
    func captured(_ pattern: String, _ path: String) throws -> [String]? {
      try PathPattern(pattern).captures(Array(path.utf8))?.map { text($0) }
    }
    #expect(try captured("/old/*/x/**", "/old/a/x/b/x/c") == ["a", "b/x/c"])
    #expect(try captured("/*-*", "/a-b-c") == ["a", "b-c"])
    #expect(try captured("/a/**/c", "/a/b/d/c") == ["b/d/"])
    #expect(try captured("/a/**/c", "/a/c") == [""])
    #expect(try captured("/**/c/**", "/a/c/c/d") == ["a/", "c/d"])
  }

  @Test("a pattern that makes naive matchers try for ever takes no time")
  func hostilePattern() throws {
    let pattern = try PathPattern("/" + String(repeating: "*a**", count: 15) + "b")
    let clock = ContinuousClock()
    let elapsed = clock.measure {
      #expect(!pattern.matches(Array(("/" + String(repeating: "a", count: 8000)).utf8)))
    }
    #expect(elapsed < .seconds(2))
  }

  @Test("patterns that cannot be are refused")
  func badPatterns() {
    #expect(throws: InvalidSetting.self) { try PathPattern("") }
    #expect(throws: InvalidSetting.self) { try PathPattern(String(repeating: "?a", count: 40)) }
  }

  @Test("of several header rules the last counts, for files all, for errors those that are for always")
  func headerRules() throws {
    let rules = try HeaderRules([
      HeaderRule("/**", ["Cache-Control": "no-cache", "X-Frame-Options": "DENY"], always: true),
      HeaderRule("/assets/**", ["cache-control": "max-age=31536000, immutable"]),
      HeaderRule("*.map", ["X-Frame-Options": "", "X-Robots-Tag": "noindex"]),
    ])
    func lines(_ path: String, isError: Bool = false) -> String {
      text(rules.lines(for: Array(path.utf8), isError: isError))
    }
    #expect(lines("/index.html") == "Cache-Control: no-cache\r\nX-Frame-Options: DENY\r\n")
    #expect(lines("/assets/a.js") == "X-Frame-Options: DENY\r\ncache-control: max-age=31536000, immutable\r\n")
    #expect(lines("/assets/a.map") == "cache-control: max-age=31536000, immutable\r\nX-Robots-Tag: noindex\r\n")
    #expect(lines("/assets/a.map", isError: true) == "Cache-Control: no-cache\r\nX-Frame-Options: DENY\r\n")
    #expect(HeaderRules().lines(for: Array("/a".utf8)).isEmpty)
  }

  @Test(
    "header rules cannot break heads or lie about bodies",
    arguments: [
      ["Content-Length": "1"], ["transfer-encoding": "chunked"], ["X\r\nY": "a"], ["X": "a\r\nSet-Cookie: b"],
      ["": "a"], ["X Y": "a"], ["ETag": "\"1\""], ["X": " a"], ["CONNECTION": "close"],
    ])
  func badHeaderRules(fields: [String: String]) {
    #expect(throws: InvalidSetting.self) { try HeaderRules([HeaderRule("/**", fields)]) }
  }

  @Test("redirections put what they matched into their targets, encoded, and keep queries")
  func redirects() throws {
    let redirects = try Redirects([
      RedirectRule("/old/**", to: "/new/$1", status: 308),
      RedirectRule("/*.php", to: "https://example.org/$1?page=$1", status: 302),
      RedirectRule("/price", to: "/100$$"),
      RedirectRule("/out**", to: "/$1"),
    ])
    func location(_ path: String, _ query: String = "") -> String? {
      redirects.response(for: Array(path.utf8), query: Array(query.utf8))?.location.map { text($0) }
    }
    #expect(location("/old/a/b c", "?q=1") == "/new/a/b%20c?q=1")
    #expect(location("/x\r\ny.php", "?q=1") == "https://example.org/x%0D%0Ay?page=x%0D%0Ay")
    #expect(location("/price") == "/100$")
    #expect(location("/other") == nil)
    #expect(location("/out//evil.example") == "/evil.example", "no other host")
    #expect(redirects.response(for: Array("/old/a".utf8), query: [])?.status == .permanentRedirect)
  }

  @Test(
    "redirections that cannot be meant are refused",
    arguments: [
      RedirectRule("old", to: "/new"), RedirectRule("/old", to: "new"), RedirectRule("/old", to: "//host/new"),
      RedirectRule("/old", to: "/new", status: 200), RedirectRule("/old", to: "/new", status: 304),
      RedirectRule("/old", to: "/new/$1"), RedirectRule("/*", to: "https://$1/"), RedirectRule("/old", to: "/a b"),
      RedirectRule("/*", to: "javascript:$1"), RedirectRule("/*", to: "/x$"), RedirectRule("/*", to: "/$x"),
      RedirectRule("/**", to: "https://example.org$1"),
    ])
  func badRedirects(rule: RedirectRule) {
    #expect(throws: InvalidSetting.self) { try Redirects([rule]) }
  }

  @Test("media types: the site's own first, and its charset for text")
  func mediaTypes() throws {
    func type(_ name: String, _ overrides: [String: String] = [:], charset: String? = "utf-8") throws -> String {
      try MediaTypes(overrides: overrides, charset: charset).of(name: Array(name.utf8))
    }
    #expect(try type("a.html") == "text/html; charset=utf-8")
    #expect(try type("a.html", charset: "iso-8859-1") == "text/html; charset=iso-8859-1")
    #expect(try type("a.html", charset: nil) == "text/html")
    #expect(try type("a.png", charset: "iso-8859-1") == "image/png")
    #expect(try type("a.XYZ", ["xyz": "chemical/x-xyz"]) == "chemical/x-xyz")
    #expect(try type("a.swift", [".swift": "text/x-swift"]) == "text/x-swift; charset=utf-8")
    #expect(try type("a.txt", ["txt": "text/plain; charset=us-ascii"]) == "text/plain; charset=us-ascii")
    #expect(try type("a.html", ["xyz": "chemical/x-xyz"]) == "text/html; charset=utf-8")
    #expect(try type("html", ["html": "a/b"]) == "application/octet-stream")
    for bad in ["text", "text/", "/html", "text/html\r\nX: y", "te xt/html", ""] {
      #expect(throws: InvalidSetting.self) { try type("a", ["a": bad]) }
    }
    #expect(throws: InvalidSetting.self) { try type("a", ["a/b": "text/html"]) }
    #expect(throws: InvalidSetting.self) { try type("a", charset: "a b") }
  }

  @Test("error pages are for errors Apus answers, and are files")
  func errorPages() throws {
    var settings = SiteSettings()
    settings.errorPages = [404: "/errors/404.html"]
    #expect(try SiteRules(settings).errorPages[.notFound] == Array("/errors/404.html".utf8))
    for bad in [[200: "/a.html"], [418: "/a.html"], [404: "/errors/"], [404: "a.html"], [404: "/../a.html"]] {
      settings.errorPages = bad
      #expect(throws: InvalidSetting.self) { try SiteRules(settings) }
    }
  }

  @Test("hosts: exact names before suffixes, the longest suffix first, the first site for others")
  func hosts() throws {
    let directory = try TemporaryDirectory()
    let names = [
      ["example.org", "www.Example.org"], ["*.example.org"], ["*.img.example.org"], ["[::1]", "127.0.0.1"],
    ]
    let sites = try Sites(
      try DocumentRoot(path: directory.path),
      hosts: names.map { VirtualHost(names: $0, directory: directory.path) })
    let expected = [
      ("example.org", 1), ("EXAMPLE.ORG:8080", 1), ("example.org.", 1), ("www.example.org", 1), ("a.example.org", 2),
      ("a.b.example.org:80", 2), ("a.img.example.org", 3), ("img.example.org", 2), ("example.com", 0), ("", 0),
      ("[::1]:80", 4), ("[::1]", 4), ("127.0.0.1:8080", 4), ("xexample.org", 0), (".example.org", 0), (":80", 0),
    ]
    for (host, index) in expected {
      #expect(Array(host.utf8).withUnsafeBytes { sites.index(host: $0) } == index, "\(host)")
    }
    for bad in [[], ["a b"], [""], ["*."], ["a.*.b"], ["example.org:80"], ["a", "A"], ["a/b"]] {
      #expect(throws: InvalidSetting.self) {
        try Sites(
          try DocumentRoot(path: directory.path), hosts: [VirtualHost(names: bad, directory: directory.path)])
      }
    }
  }
}
