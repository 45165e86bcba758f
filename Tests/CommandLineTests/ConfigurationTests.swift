import ApusServer
import Testing

@testable import apus

private func settings(_ text: String, environment: [String: String] = [:]) throws -> ServeSettings {
  let file = try ConfigurationFile(path: "/etc/apus/apus.yaml", text: text)
  return try ConfigurationLoader(file: file, environment: environment).load()
}

/// What is wrong, as it is printed.
private func complaint(_ text: String, environment: [String: String] = [:]) -> String? {
  let error = #expect(throws: ConfigurationFailure.self) { try settings(text, environment: environment) }
  return error?.description
}

@Suite struct ConfigurationTests {
  @Test func `nothing but comments sets nothing`() throws {
    for text in ["", "# nothing\n", "---\n", "tls:\nlimits:\n"] {
      let options = try settings(text).options
      #expect(options.directory == "." && options.listen == [.default] && options.tls == nil)
      #expect(options.server == UserServerConfiguration() && options.site == SiteSettings())
    }
  }

  @Test func `everything at once`() throws {
    let options = try settings(
      """
      directory: www
      listen: [10.0.0.1:80, ":81"]
      mode: kernel
      interface: eth0
      proxy: https://127.0.0.1:9000
      proxy-ca: ca.pem
      admin: /run/a.sock
      cache-size: 128M
      kernel-only: [/static/, .css]
      kernel-never: .php
      allow: [10.0.0.0/8]
      deny: [10.1.0.0/16]
      tls:
        listen: 10.0.0.1:443
        hsts: 60
        certificates:
          - {certificate: a.pem, key: /keys/a.key}
          - {certificate: b.pem, key: b.key}
      limits:
        connections: 1000
        connections-per-client: 10
        requests-per-second: 2.5
        request-burst: 20
        client-prefix-ipv4: 24
        client-prefix-ipv6: 48
        file-cache: 8M
      timeouts:
        {head: 1, idle: 2, write: 3, linger: 4, grace: 5, body: 6, proxy-connect: 7, proxy-read: 8, proxy-idle: 9,
         websocket: 10}
      """
    ).options
    #expect(options.directory == "/etc/apus/www", "relative to the file")
    #expect(options.listen.map(\.description) == ["10.0.0.1:80", "0.0.0.0:81"])
    #expect(options.mode == .kernel && options.interfaces == ["eth0"] && options.adminPath == "/run/a.sock")
    #expect(options.upstreamAuthorities == "/etc/apus/ca.pem", "relative to the file")
    #expect(options.upstream?.port == 9000 && options.cacheBytes == 128 << 20)
    #expect(
      options.kernelPaths == PathSelection(only: [.prefix("/static/"), .suffix(".css")], never: [.suffix(".php")]))
    #expect(options.clients.allowed.map(\.description) == ["10.0.0.0/8"])
    #expect(options.clients.denied.map(\.description) == ["10.1.0.0/16"])
    let certificates = [
      CertificateFiles(certificate: "/etc/apus/a.pem", key: "/keys/a.key"),
      CertificateFiles(certificate: "/etc/apus/b.pem", key: "/etc/apus/b.key"),
    ]
    #expect(options.tls == TLSOptions(listen: [ListenAddress("10.0.0.1:443")!], certificates: certificates, hsts_s: 60))
    var server = UserServerConfiguration()
    server.connectionsMax = 1000
    server.connectionsPerClientMax = 10
    server.requestRate = RequestRate(requestsPerSecond: 2.5, burst: 20)
    server.clientPrefixLengths.ipv4 = 24
    server.clientPrefixLengths.ipv6 = 48
    server.fileCacheBytesMax = 8 << 20
    (server.headTimeout_s, server.idleTimeout_s, server.writeStallTimeout_s) = (1, 2, 3)
    (server.lingerTimeout_s, server.shutdownGrace_s) = (4, 5)
    (server.proxy.body_s, server.proxy.connect_s, server.proxy.read_s) = (6, 7, 8)
    (server.proxy.idle_s, server.proxy.tunnel_s) = (9, 10)
    #expect(options.server == server)
  }

  @Test func `sites with their rules`() throws {
    let settings = try settings(
      """
      site:
        listing: true
        links-lead-out: true
        charset: none
        media-types: {webmanifest: application/manifest+json}
        headers:
          - {path: "/assets/**", fields: {Cache-Control: "max-age=60"}}
          - {path: "**", fields: {X-Frame-Options: DENY}, always: true}
        redirects:
          - {from: /old/*, to: /new/$1}
          - {from: /there, to: "https://example.org/", status: 308}
        error-pages: {404: /404.html}
      hosts:
        - names: [example.org, "*.example.org"]
          directory: /srv/example
          listing: true
        - {names: other.test, directory: other}
      """)
    var site = SiteSettings()
    site.listing = true
    site.linksLeadOut = true
    site.charset = nil
    site.mediaTypes = ["webmanifest": "application/manifest+json"]
    site.headers = [
      HeaderRule("/assets/**", ["Cache-Control": "max-age=60"]),
      HeaderRule("**", ["X-Frame-Options": "DENY"], always: true),
    ]
    site.redirects = [
      RedirectRule("/old/*", to: "/new/$1"), RedirectRule("/there", to: "https://example.org/", status: 308),
    ]
    site.errorPages = [404: "/404.html"]
    #expect(settings.site == site)
    var example = SiteSettings()
    example.listing = true
    #expect(
      settings.hosts == [
        VirtualHost(names: ["example.org", "*.example.org"], directory: "/srv/example", site: example),
        VirtualHost(names: ["other.test"], directory: "/etc/apus/other"),
      ])
  }

  @Test func `the environment stands over the file, and flags over both`() throws {
    let file = "listen: 10.0.0.1:1\nmode: user\ndirectory: a\ncache-size: 1M\n"
    let settings = try settings(
      file, environment: ["APUS_LISTEN": "10.0.0.1:2,10.0.0.1:3", "APUS_DIRECTORY": "b", "APUS_OTHER": "x"])
    #expect(settings.listen.map(\.port) == [2, 3] && settings.mode == .user)
    #expect(settings.directory == "b", "not relative to the file")
    let command = try #require(
      try Apus.parseAsRoot(["serve", "c", "--listen", "10.0.0.1:4", "--config", "x"]) as? ServeCommand)
    let options = command.settings(over: settings).options
    #expect(options.listen.map(\.port) == [4] && options.directory == "c")
    #expect(options.mode == .user && options.cacheBytes == 1 << 20)
  }

  @Test func `every setting is set by its environment variable and by the file alike`() throws {
    let examples = [
      "addr:port": "10.9.8.7:65", "auto, kernel or user": "user", "dir": "/x", "name": "eth7", "path": "/y",
      "url": "http://10.1.1.1/", "bytes": "2M", "/prefix/ or .extension": "/p/", "prefix": "10.0.0.0/9",
      "seconds": "7", "number": "9", "bits": "20",
      "combined or json": "json",
    ]
    for setting in Setting.all {
      let form =
        switch setting.form {
        case .one(let form), .many(let form): form
        }
      let example = try #require(examples[form], "an example of \(form)")
      var text = ""
      for (depth, level) in setting.levels.enumerated() {
        text += String(repeating: "  ", count: depth) + level + ":\n"
      }
      // A burst has no meaning without its rate.
      let rate = setting.key == "limits.request-burst" ? "\n  requests-per-second: 1" : ""
      let written = try settings(text.dropLast() + " \"\(example)\"" + rate)
      let said = try settings(
        rate.isEmpty ? "" : "limits:" + rate, environment: [setting.environmentVariable: example])
      #expect(describe(written) == describe(said))
      #expect(describe(written) != describe(ServeSettings()), "\(setting.key) sets nothing")
    }
  }

  /// All fields.
  private func describe(_ settings: ServeSettings) -> String {
    var text = ""
    dump(settings, to: &text)
    return text
  }

  @Test(arguments: [
    ("lisen: a:1", 1, "there is no setting 'lisen' here; is it 'listen'?"),
    ("# c\n\nmode: sideways", 3, "mode: 'sideways' is no mode"),
    ("listen: [127.0.0.1:80,\n  127.0.0.1]", 1, "listen: '127.0.0.1' has no port"),
    ("mode: user\nlisten: [a", 3, "did not find expected"),
    ("mode: user\nmode: user", 1, "given twice: mode"), ("- a", 1, "key: value"), ("just words", 1, "key: value"),
    ("mode: [user]", 1, "here one value is needed"), ("mode: {a: b}", 1, "here one value is needed"),
    ("mode:\n", 1, "here one value is needed"),
    ("tls: 5", 1, "'key: value' lines"), ("tls:\n  liste: x", 2, "is it 'listen'?"),
    ("timeouts: {head: 0}", 1, "timeouts.head: '0' is no number from 1 to 86400"),
    ("timeouts: {head: soon}", 1, "'soon' is no number"),
    ("limits:\n  request-burst: 3", 2, "needs limits.requests-per-second"),
    ("limits: {file-cache: 1}", 1, "is not a size from 1M"), ("cache-size: 3M", 1, "2M and 4M"),
    ("site:\n  listing: perhaps", 2, "write true or false"), ("site: {nothing: 1}", 1, "no setting 'nothing'"),
    ("site:\n  headers:\n    - {path: '*', fields: {'a b': c}}", 3, "is no field name"),
    ("site:\n  headers:\n    - {path: '*'}", 3, "needs a path and fields"),
    ("site:\n  redirects:\n    - {from: /a, to: /b}\n    - {from: /a, to: /b, status: 200}", 4, "is none of 301"),
    ("site:\n  redirects:\n    - {from: /a, to: 'b c'}", 3, "neither a path nor"),
    ("site:\n  error-pages: {404: none.html}", 2, "is no path"), ("site:\n  error-pages: {x: /y}", 2, "is no status"),
    ("site:\n  media-types: {a: b}", 2, "b"),
    ("hosts:\n  - {names: a.test}", 2, "needs names and a directory"),
    ("hosts:\n  - {names: 'a b', directory: x}", 2, "is no name of a host"),
    ("hosts:\n  - {names: a, directory: x, listin: true}", 2, "is it 'listing'?"),
    ("tls:\n  certificates:\n    - {certificate: a}", 3, "are both needed"),
  ])
  func `what is wrong is named with its line`(text: String, line: Int, problem: String) {
    let message = complaint(text)
    #expect(message?.hasPrefix("/etc/apus/apus.yaml:\(line): ") == true, "\(message ?? "")")
    #expect(message?.contains(problem) == true, "\(message ?? "")")
  }

  @Test func `what is wrong with an environment variable is named with it`() {
    #expect(complaint("mode: user", environment: ["APUS_MODE": "x"])?.hasPrefix("APUS_MODE: 'x' is no mode") == true)
  }

  @Test func `settings that contradict each other are named with the file`() throws {
    let source = ConfigurationSource(path: "a.yaml", environment: [:])
    for text in ["tls: {listen: ':443'}", "listen: [':80', ':80']", "mode: user\ninterface: lo"] {
      let settings = try settings(text)
      let error = #expect(throws: ConfigurationFailure.self) { try source.checked(settings) }
      #expect(error?.description.hasPrefix("a.yaml: ") == true)
    }
  }

  @Test func `a file that cannot be read is an error with its reason`() throws {
    let error = #expect(throws: ConfigurationFailure.self) { try ConfigurationFile(path: "/nonexistent/apus.yaml") }
    #expect(error?.description == "/nonexistent/apus.yaml: No such file or directory")
    #expect(throws: ConfigurationFailure.self) { try ConfigurationFile(path: "/") }
    #expect(throws: ConfigurationFailure.self) { try ConfigurationFile(path: "/dev/zero") }
  }

  @Test func `settings that are fixed at the start are named`() throws {
    let old = try settings("listen: 10.0.0.1:80\nproxy: http://a/\n").options
    #expect(old.settingsFixed(comparedTo: old).isEmpty)
    let new = try settings("listen: 10.0.0.1:81\ncache-size: 1M\nallow: 10.0.0.0/8\n").options
    #expect(old.settingsFixed(comparedTo: new) == ["listen", "proxy", "cache-size"])
  }
}
