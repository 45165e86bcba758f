import ApusServer
import ArgumentParser
import Testing

@testable import apus

/// What the user writes, and what `serve` makes of it.
@Suite struct ServeCommandTests {
  private func options(_ arguments: String...) throws -> ServeOptions {
    let command = try Apus.parseAsRoot(["serve"] + arguments)
    return try #require(command as? ServeCommand).settings(over: ServeSettings()).options
  }

  /// The message of wrong usage, as it is printed.
  private func complaint(_ arguments: String...) -> String? {
    let error = #expect(throws: (any Error).self) { try Apus.parseAsRoot(["serve"] + arguments) }
    guard let error else { return nil }
    #expect(Apus.exitCode(for: error) == .validationFailure)
    let message = Apus.fullMessage(for: error)
    #expect(message.hasPrefix("apus: error: "))
    #expect(message.contains("Usage: apus serve"))
    return message
  }

  @Test func `defaults`() throws {
    let options = try options()
    #expect(options.directory == ".")
    #expect(options.listen.map(\.description) == ["127.0.0.1:8080"])
    #expect(options.backend == nil)
    #expect(options.mode == .auto)
    #expect(options.interfaces.isEmpty)
    #expect(options.adminPath == nil)
    #expect(options.cacheBytes == 64 << 20)
  }

  @Test func `everything at once`() throws {
    let options = try options(
      "/srv/www", "--listen", "10.0.0.1:80", "--backend", "127.0.0.1:8081", "--mode", "kernel", "--interface", "eth0",
      "--listen", ":81", "--interface", "lo", "--admin", "/tmp/a.sock", "--cache-size", "256M", "--verbose")
    #expect(options.directory == "/srv/www")
    #expect(options.listen.map(\.description) == ["10.0.0.1:80", "0.0.0.0:81"])
    #expect(options.backend?.description == "127.0.0.1:8081")
    #expect(options.mode == .kernel)
    #expect(options.interfaces == ["eth0", "lo"])
    #expect(options.adminPath == "/tmp/a.sock")
    #expect(options.cacheBytes == 256 << 20)
  }

  @Test(arguments: [
    ("nonsense", "has no port"), ("127.0.0.1", "has no port"), ("127.0.0.1:", "is not a port"),
    ("127.0.0.1:0", "is not a port"), ("127.0.0.1:65536", "is not a port"), ("127.0.0.1:http", "is not a port"),
    ("127.0.0.1:99999999999999999999", "is not a port"), ("example.org:80", "'example.org'"),
    ("256.0.0.1:80", "'256.0.0.1'"), ("1.2.3:80", "'1.2.3'"), ("1.2.3.4.5:80", "'1.2.3.4.5'"),
    ("[::1.2]:80", "not an IPv6"),
    ("::1:80", "brackets"), ("[::1:80", "not an IPv6"), ("[fe80::1]:80", "link-local"), ("[::1]", "port"),
    ("", "has no port"),
  ])
  func `a bad address is named, with what is wrong`(address: String, problem: String) throws {
    for option in ["--listen", "--backend"] {
      let message = try #require(complaint(option, address))
      #expect(message.contains("'\(address)'"))
      #expect(message.contains(option))
      #expect(message.contains(problem))
    }
  }

  @Test func `a mode that is none names those there are`() throws {
    let message = try #require(complaint("--mode", "sideways"))
    for word in ["'sideways'", "auto", "kernel", "user"] { #expect(message.contains(word)) }
  }

  @Test func `contradictions are wrong usage`() throws {
    #expect(complaint("--listen", ":80", "--listen", "*:80")?.contains("0.0.0.0:80 is given twice") == true)
    #expect(complaint("--interface", "lo", "--interface", "lo")?.contains("lo is given twice") == true)
    #expect(complaint("--mode", "user", "--interface", "lo")?.contains("--mode is user") == true)
    #expect(complaint("--interface", "a/b")?.contains("'a/b'") == true)
    #expect(complaint("--interface", "sixteen-bytes-xx")?.contains("sixteen-bytes-xx") == true)
    #expect(complaint("--backend", ":81")?.contains("127.0.0.1:81") == true)
    #expect(complaint("--backend", "127.0.0.1:8080")?.contains("127.0.0.1:8080") == true, "the default of --listen")
    #expect(complaint("--listen", ":80", "--backend", "10.0.0.1:80")?.contains("10.0.0.1:80") == true)
    #expect(complaint("--admin", "")?.contains("--admin") == true)
    #expect(complaint("")?.contains("directory") == true)
    #expect(complaint("a", "b")?.contains("'b'") == true)
  }

  @Test func `patterns of paths are prefixes and extensions`() throws {
    let paths = try options(
      "--kernel-only", "/static/", "--kernel-only", "*.css", "--kernel-never", ".html", "--kernel-never", "/"
    ).kernelPaths
    #expect(paths.only == [.prefix("/static/"), .suffix(".css")] && paths.never == [.suffix(".html"), .prefix("/")])
    for wrong in ["", "css", ".", "*", "*.", "**.css", "a/b", ".a/b"] {
      #expect(complaint("--kernel-only", wrong)?.contains("'\(wrong)'") == true)
    }
    #expect(complaint("--kernel-never", ".css", "--kernel-never", "*.css")?.contains("given twice") == true)
    #expect(try options().kernelPaths == PathSelection())
  }

  @Test func `a backend on the same port of another address is none of these`() throws {
    #expect(try options("--listen", "10.0.0.1:80", "--backend", "127.0.0.1:80").backend != nil)
  }
}

@Suite struct ByteSizeTests {
  @Test(arguments: [
    ("1048576", 1 << 20), ("1024K", 1 << 20), ("1m", 1 << 20), ("64M", 64 << 20), ("64MB", 64 << 20),
    ("64MiB", 64 << 20), ("256M", 256 << 20), ("1048576B", 1 << 20),
  ])
  func `sizes`(text: String, bytes: Int) throws {
    #expect(try ByteSize.parse(text).bytes == bytes)
  }

  @Test(arguments: [
    ("", "is not a size"), ("M", "is not a size"), ("-64M", "is not a size"), ("+64M", "is not a size"),
    ("64 M", "is not a size"), ("64X", "is not a size"), ("6.4M", "is not a size"), ("0x40M", "is not a size"),
    ("٦٤M", "is not a size"), ("99999999999G", "is not a size"), ("99999999999999999999", "is not a size"),
    ("0", "from 1M to 256M"), ("512K", "from 1M to 256M"), ("1G", "from 1M to 256M"), ("100M", "64M and 128M"),
    ("1048577", "1M and 2M"),
  ])
  func `what is wrong with a size`(text: String, problem: String) {
    let error = #expect(throws: ValidationError.self) { try ByteSize.parse(text) }
    #expect(error?.message.contains(problem) == true)
  }

  @Test(arguments: [(64 << 20, "64M"), (1 << 30, "1G"), (3 << 10, "3K"), (1000, "1000"), (0, "0")])
  func `are written in the largest unit that fits`(bytes: Int, text: String) {
    #expect(ByteSize(bytes: bytes).description == text)
  }
}
