import Glibc
import Logging
import NIOCore
import Testing

@testable import ApusServer

/// A server of sites on a loopback port of its own, for the duration of `body`.
func withSites(
  _ settings: SiteSettings = SiteSettings(), _ configuration: UserServerConfiguration = UserServerConfiguration(),
  hosts: [String: SiteSettings] = [:],
  _ body: (_ port: Int, _ root: TemporaryDirectory, _ hosts: [String: TemporaryDirectory]) async throws -> Void
) async throws {
  let root = try TemporaryDirectory()
  var directories: [String: TemporaryDirectory] = [:]
  for name in hosts.keys { directories[name] = try TemporaryDirectory() }
  var configuration = configuration
  configuration.shutdownGrace_s = 1
  let sites = try Sites(
    try DocumentRoot(path: root.path, rules: try SiteRules(settings)),
    hosts: hosts.map { VirtualHost(names: [$0.key], directory: directories[$0.key]!.path, site: $0.value) })
  let server = UserServer(sites: sites, configuration: configuration, logger: Logger(label: "test"))
  do {
    let bound = try await server.bind([SocketAddress(ipAddress: "127.0.0.1", port: 0)])
    try await body(bound[0].port!, root, directories)
  } catch {
    await server.shutDown()
    throw error
  }
  await server.shutDown()
}

@Suite("User server: sites")
struct UserServerSiteTests {
  @Test("a directory without an index is listed where that is wanted, and hides what is hidden")
  func listing() async throws {
    var settings = SiteSettings()
    settings.listing = true
    settings.headers = [HeaderRule("/**/", ["Cache-Control": "no-cache"])]
    try await withSites(settings) { port, root, _ in
      try root.write("b.txt", "12345")
      try root.write("a.txt", "1")
      try root.write(".hidden", "1")
      try root.makeDirectory("sub")
      try root.makeDirectory("indexed")
      try root.write("indexed/index.html", "index")
      try root.link("in", to: "a.txt")
      try root.link("absolute", to: root.path + "/sub")
      try root.link("out", to: "/etc/hostname")
      try root.link("nowhere", to: "nothing")
      let client = try RawClient(port: port)
      let page = try await client.exchange(get("/", "Accept: text/html\r\n"))
      #expect(page.status == 200)
      #expect(page.field("Content-Type") == "text/html; charset=utf-8")
      #expect(page.field("Vary") == "Accept")
      #expect(page.field("Cache-Control") == "no-cache")
      let links = text(page.body).split(separator: "<a href=\"").dropFirst().map { $0.prefix { $0 != "\"" } }
      #expect(links == ["absolute/", "indexed/", "sub/", "a.txt", "b.txt", "in"])
      let json = try await client.exchange(get("/", "Accept: application/json\r\n"))
      #expect(json.field("Content-Type") == "application/json")
      #expect(text(json.body).contains("{\"name\": \"b.txt\", \"type\": \"file\", \"size\": 5, \"modified\": \""))
      let head = try await client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", toHead: true)
      #expect(head.field("Content-Length") == page.field("Content-Length"))
      #expect(text(try await client.exchange(get("/sub/")).body).contains("<a href=\"../\">"))
      #expect(try await client.exchange(get("/absolute/")).status == 200)
      #expect(try await client.exchange(get("/indexed/")).body == Array("index".utf8))
      for (path, status) in [("/none/", 404), ("/a.txt/", 404), ("/.hidden/", 404), ("/sub", 301)] {
        #expect(try await client.exchange(get(path)).status == status, "\(path)")
      }
    }
    try await withSites { port, _, _ in
      let client = try RawClient(port: port)
      #expect(try await client.exchange(get("/")).status == 404)
    }
  }

  @Test("header rules, media types and charset are those of the site, in answers with and without a body")
  func headers() async throws {
    var settings = SiteSettings()
    settings.headers = [
      HeaderRule("/assets/**", ["Cache-Control": "max-age=60"]), HeaderRule("/**", ["X-Always": "1"], always: true),
    ]
    settings.mediaTypes = ["abc": "text/x-abc"]
    settings.charset = "iso-8859-1"
    try await withSites(settings) { port, root, _ in
      try root.makeDirectory("assets")
      for (name, size) in [("a.abc", 100), ("large.txt", 100_000)] {
        try root.write("assets/\(name)", [UInt8](repeating: 65, count: size))
      }
      let client = try RawClient(port: port)
      for (name, type) in [("a.abc", "text/x-abc"), ("large.txt", "text/plain")] {
        let whole = try await client.exchange(get("/assets/\(name)"))
        #expect(whole.field("Content-Type") == "\(type); charset=iso-8859-1")
        #expect(whole.field("Cache-Control") == "max-age=60")
        #expect(whole.field("X-Always") == "1")
        let tag = try #require(whole.field("ETag"))
        for (fields, status) in [("If-None-Match: \(tag)\r\n", 304), ("Range: bytes=1-2\r\n", 206)] {
          let response = try await client.exchange(get("/assets/\(name)", fields))
          #expect(response.status == status && response.field("Cache-Control") == "max-age=60")
        }
      }
      for request in [get("/assets/none"), "POST / HTTP/1.1\r\nHost: a\r\n\r\n", get("/assets/%00")] {
        let error = try await client.exchange(request)
        #expect(error.status >= 400 && error.field("Cache-Control") == nil && error.field("X-Always") == "1")
      }
    }
  }

  @Test("errors have the site's pages, with their types and the error's status")
  func errorPages() async throws {
    var settings = SiteSettings()
    settings.errorPages = [404: "/errors/404.html", 405: "/errors/none.html", 416: "/errors/416.txt"]
    try await withSites(settings) { port, root, _ in
      try root.makeDirectory("errors")
      try root.write("errors/404.html", "<h1>Nothing here</h1>")
      try root.write("errors/416.txt", "too far")
      try root.write("f", "file")
      let client = try RawClient(port: port)
      let missing = try await client.exchange(get("/none"))
      #expect(missing.status == 404 && text(missing.body) == "<h1>Nothing here</h1>")
      #expect(missing.field("ETag") == nil && missing.field("Last-Modified") == nil)
      let head = try await client.exchange("HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n", toHead: true)
      #expect(head.status == 404 && head.field("Content-Length") == "21")
      let beyond = try await client.exchange(get("/f", "Range: bytes=9-\r\n"))
      #expect(text(beyond.body) == "too far" && beyond.field("Content-Type") == "text/plain; charset=utf-8")
      #expect(beyond.field("Content-Range") == "bytes */4")
      // A page that is not there: Apus's own.
      let notAllowed = try await client.exchange("POST /f HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(text(notAllowed.body).contains("405 Method Not Allowed") && notAllowed.field("Allow") != nil)
    }
  }

  @Test("redirections come before files, and what a client sends stays data")
  func redirects() async throws {
    var settings = SiteSettings()
    settings.redirects = [
      RedirectRule("/old/**", to: "/new/$1", status: 308), RedirectRule("/f", to: "https://example.org/f", status: 302),
    ]
    try await withSites(settings) { port, root, _ in
      try root.write("f", "file")
      let client = try RawClient(port: port)
      for _ in 0..<2 {
        let response = try await client.exchange(get("/f?a=b"))
        #expect(response.status == 302 && response.field("Location") == "https://example.org/f?a=b")
      }
      let response = try await client.exchange(get("/old/%0d%0aSet-Cookie:x/a%2e%20%3f/"))
      #expect(response.status == 308)
      #expect(response.field("Location") == "/new/%0D%0ASet-Cookie%3Ax/a.%20%3F/")
      #expect(response.field("Set-Cookie") == nil)
    }
  }

  @Test("every host has its own files, rules and cache entries")
  func virtualHosts() async throws {
    var other = SiteSettings()
    other.headers = [HeaderRule("/**", ["X-Site": "b"])]
    try await withSites(hosts: ["a.example": SiteSettings(), "*.b.example": other]) { port, root, hosts in
      try root.write("f", "default")
      try hosts["a.example"]!.write("f", "a")
      try hosts["*.b.example"]!.write("f", "b")
      let client = try RawClient(port: port)
      func ask(_ host: String, _ target: String = "/f") async throws -> RawClient.Response {
        try await client.exchange("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
      }
      for _ in 0..<2 {
        #expect(try await text(ask("a.example").body) == "a")
        #expect(try await text(ask("A.Example:\(port)").body) == "a")
        #expect(try await text(ask("x.b.example").body) == "b")
        #expect(try await ask("x.b.example").field("X-Site") == "b")
        #expect(try await text(ask("c.example").body) == "default")
        // The authority of an absolute target counts, not Host (RFC 9112 section 3.2.2).
        #expect(try await text(ask("c.example", "http://a.example/f").body) == "a")
      }
      #expect(try await ask("x.b.example", "/none").field("X-Site") == nil)
    }
  }

  @Test("symbolic links out of the root are followed only where that is allowed")
  func linksOut() async throws {
    let outside = try TemporaryDirectory()
    try outside.write("f", "outside")
    var allowed = SiteSettings()
    allowed.linksLeadOut = true
    allowed.listing = true
    for (settings, status) in [(SiteSettings(), 403), (allowed, 200)] {
      try await withSites(settings) { port, root, _ in
        try root.link("file", to: outside.path + "/f")
        try root.link("directory", to: outside.path)
        try root.link("loop", to: "loop")
        let client = try RawClient(port: port)
        for path in ["/file", "/directory/f"] {
          let response = try await client.exchange(get(path))
          #expect(response.status == status, "\(path)")
          if status == 200 { #expect(text(response.body) == "outside") }
        }
        #expect(try await client.exchange(get("/loop")).status == 404)
        #expect(try await client.exchange(get("/file/../../etc/passwd")).status == 400)
        if status == 200 {
          #expect(text(try await client.exchange(get("/directory/")).body).contains("<a href=\"f\">"))
        }
      }
    }
  }

  @Test("beyond the rate requests are answered 429 with Retry-After, on a connection that is kept")
  func requestRate() async throws {
    var configuration = UserServerConfiguration()
    configuration.requestRate = RequestRate(requestsPerSecond: 0.01, burst: 5)
    try await withSites(SiteSettings(), configuration) { port, root, _ in
      try root.write("f", "file")
      let client = try RawClient(port: port)
      for _ in 0..<5 { #expect(try await client.exchange(get("/f")).status == 200) }
      let refused = try await client.exchange(get("/f"))
      #expect(refused.status == 429 && (1...100).contains(Int(refused.field("Retry-After") ?? "") ?? 0))
      #expect(refused.field("Connection") == "keep-alive")
      #expect(
        try await RawClient(port: port).exchange(get("/f")).status == 429, "the client counts, not its connection")
    }
  }

  @Test("a client has so many connections, and another one when one has ended")
  func connectionsPerClient() async throws {
    var configuration = UserServerConfiguration()
    configuration.connectionsPerClientMax = 2
    try await withSites(SiteSettings(), configuration) { port, root, _ in
      try root.write("f", "file")
      var clients = [try RawClient(port: port), try RawClient(port: port)]
      for client in clients { #expect(try await client.exchange(get("/f")).status == 200) }
      let third = try RawClient(port: port)
      #expect((try? await third.receiveAll()) ?? [] == [])
      clients.removeLast()
      try await Task.sleep(for: .milliseconds(300))
      #expect(try await RawClient(port: port).exchange(get("/f")).status == 200)
    }
  }

  @Test("a client that takes something of its answer now and then, and next to nothing in all, is cut off")
  func crawlingReader() async throws {
    var configuration = UserServerConfiguration()
    configuration.writeStallTimeout_s = 2
    configuration.writeBytesMin = 200_000
    try await withSites(SiteSettings(), configuration) { port, root, _ in
      try root.write("large", [UInt8](repeating: 1, count: 20_000_000))
      let client = try RawClient(port: port, receiveBuffer: 4096)
      try await client.send(get("/large"))
      let clock = ContinuousClock()
      let end = clock.now + .seconds(6)
      while clock.now < end, !client.isAtEnd {
        try await client.receive(1000)
        try await Task.sleep(for: .milliseconds(100))
      }
      #expect(try await client.receiveAll().count < 20_000_000)
    }
  }

  @Test("the kernel half composes by the same rules, from the files of the host's site")
  func kernelHalf() async throws {
    let (root, other) = (try TemporaryDirectory(), try TemporaryDirectory())
    try root.write("f.abc", "default")
    try other.write("f.abc", "other")
    var settings = SiteSettings()
    settings.headers = [HeaderRule("*.abc", ["Cache-Control": "max-age=60"])]
    settings.mediaTypes = ["abc": "text/x-abc"]
    settings.redirects = [RedirectRule("/moved/**", to: "/$1")]
    let sites = try Sites(
      try DocumentRoot(path: root.path),
      hosts: [VirtualHost(names: ["other.example"], directory: other.path, site: settings)])
    try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 20))
    func compose(_ path: String, host: String) throws -> ComposedObject.Representation? {
      let key = ObjectKey(site: 0, path: Array(path.utf8))
      return try sites.compose(ObjectRequest(key: key, host: Array(host.utf8))) { _ in }.representation(.identity)
    }
    #expect(try compose("/f.abc", host: "a.example")?.body == Array("default".utf8))
    let object = try #require(try compose("/f.abc", host: "other.example:80"))
    #expect(text(object.body) == "other")
    let head = try #require(object.heads.compactMap { $0 }.first)
    #expect(text(head.bytes).contains("Content-Type: text/x-abc; charset=utf-8\r\n"))
    #expect(text(head.bytes).contains("Cache-Control: max-age=60\r\n"))
    try other.makeDirectory("moved")
    try other.write("moved/f.abc", "moved")
    try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 20))
    #expect(throws: OriginRefusal.notStorable("redirected")) { try compose("/moved/f.abc", host: "other.example") }
  }

  @Test("settings without a meaning are refused")
  func validation() throws {
    func refuses(_ change: (inout UserServerConfiguration) -> Void) {
      var configuration = UserServerConfiguration()
      change(&configuration)
      #expect(throws: InvalidSetting.self) { try configuration.validate() }
    }
    try UserServerConfiguration().validate()
    refuses { $0.requestRate = RequestRate(requestsPerSecond: 0, burst: 1) }
    refuses { $0.requestRate = RequestRate(requestsPerSecond: 1, burst: 0) }
    refuses { $0.connectionsPerClientMax = 0 }
    refuses { $0.clientPrefixLengths.ipv4 = 33 }
    refuses { $0.clientPrefixLengths.ipv6 = 65 }
    refuses { $0.idleTimeout_s = 0 }
  }
}
