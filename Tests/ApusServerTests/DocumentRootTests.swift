import CLinux
import Glibc
import Testing

@testable import ApusServer

@Suite("Document root: finding files")
struct DocumentRootTests {
  let directory: TemporaryDirectory
  let root: DocumentRoot

  init() throws {
    directory = try TemporaryDirectory()
    try directory.makeDirectory("www")
    root = try DocumentRoot(path: directory.path + "/www")
  }

  /// The bytes answered for a path, or why there are none.
  func get(_ path: String) throws -> String {
    try get(Array(path.utf8))
  }

  func get(_ path: [UInt8]) throws -> String {
    let file = try root.open(DocumentRootPath(path))
    return text(try file.descriptor.read(file.metadata.size))
  }

  func refusal(_ path: String) -> DocumentRootRefusal? {
    do {
      _ = try get(path)
      return nil
    } catch {
      return error as? DocumentRootRefusal
    }
  }

  @Test("files, index files and percent-encoded names are found")
  func found() throws {
    try directory.write("www/a.txt", "A")
    try directory.write("www/with space ü", "B")
    try directory.write("www/100%", "C")
    try directory.makeDirectory("www/sub")
    try directory.write("www/sub/index.html", "D")
    try directory.write("www/index.html", "E")
    try directory.makeDirectory("www/.well-known")
    try directory.write("www/.well-known/security.txt", "F")
    #expect(try get("/a.txt") == "A")
    #expect(try get("/%61.t%78t") == "A")
    #expect(try get("/with%20space%20%C3%bc") == "B")
    #expect(try get("/with%20space%20ü") == "B")
    #expect(try get("/100%25") == "C")
    #expect(try get("/sub/") == "D")
    #expect(try get("//sub///index.html") == "D")
    #expect(try get("/") == "E")
    #expect(try get("/.well-known/security.txt") == "F")
    #expect(try root.metadata(DocumentRootPath("/sub/".utf8)).size == 1)
  }

  @Test(
    "no spelling of a path leaves the root",
    arguments: [
      "/../secret", "/sub/../../secret", "/..", "/../", "/%2e%2e/secret", "/%2E./secret", "/.%2e/secret",
      "/sub/%2e%2e/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret", "/sub/..%2f..%2fsecret", "/./../secret",
      "//../secret", "/..//secret", "/sub/.././../secret", "/%252e%252e/secret", "/..%5csecret", "/..%00/secret",
      "/secret%00.html", "/../www/../secret", "secret", "../secret", "",
    ])
  func traversal(path: String) throws {
    try directory.write("secret", "secret")
    try directory.makeDirectory("www/sub")
    let refusal = try #require(self.refusal(path))
    #expect([.badPath, .notFound].contains(refusal))
  }

  @Test(
    "broken encodings, zero bytes and dot segments are bad, encoded slashes and hidden names are not found",
    arguments: [
      ("/%", DocumentRootRefusal.badPath), ("/%4", .badPath), ("/%zz", .badPath), ("/a%00", .badPath),
      ("/./a", .badPath), ("/a/.", .badPath), ("/a/../a", .badPath), ("/a%2fb", .notFound), ("/a%2Fb", .notFound),
      ("/.git/config", .notFound), ("/.env", .notFound), ("/a/.hidden", .notFound), ("/%2ehtaccess", .notFound),
      ("/...", .notFound),
    ])
  func refused(path: String, expected: DocumentRootRefusal) throws {
    try directory.makeDirectory("www/a")
    try directory.write("www/a/b", "")
    try directory.write("www/a/.hidden", "")
    try directory.write("www/.env", "")
    try directory.write("www/...", "")
    #expect(refusal(path) == expected)
  }

  @Test("directories without a slash say so, without an index they are not found")
  func directories() throws {
    try directory.makeDirectory("www/sub")
    #expect(refusal("/sub") == .isDirectory)
    #expect(refusal("/sub/") == .notFound)
    #expect(refusal("/") == .notFound)
    try directory.write("www/file", "")
    #expect(refusal("/file/") == .notFound)
    #expect(refusal("/file/x") == .notFound)
    try directory.makeDirectory("www/sub/index.html")
    #expect(refusal("/sub/") == .notFound)
    #expect(refusal("/" + String(repeating: "n", count: 300)) == .notFound)
  }

  @Test(
    "a redirection's location is one slash, the names encoded again, one slash",
    arguments: [
      ("/sub", "/sub/"), ("//evil.example/x", "/evil.example/x/"), ("/a%20b", "/a%20b/"), ("/%c3%bc", "/%C3%BC/"),
      ("/a\u{0d}", "/a%0D/"), ("/a:b@c", "/a%3Ab%40c/"), ("/", "/"),
    ])
  func location(path: String, location: String) throws {
    #expect(text(try DocumentRootPath(path.utf8).directoryLocation) == location)
  }

  @Test("links are followed inside the root, relative or absolute, and not out of it")
  func links() throws {
    try directory.makeDirectory("www/.releases")
    try directory.makeDirectory("www/.releases/1")
    try directory.write("www/.releases/1/a", "one")
    try directory.write("secret", "secret")
    try directory.link("www/relative", to: ".releases/1")
    try directory.link("www/absolute", to: directory.path + "/www/.releases/1")
    try directory.link("www/around", to: "../www/relative/a")
    try directory.link("www/out", to: "../secret")
    try directory.link("www/outAbsolute", to: directory.path + "/secret")
    try directory.link("www/outDirectory", to: "..")
    try directory.link("www/loop", to: "loop")
    try directory.link("www/dangling", to: "nothing")
    try directory.link("www/proc", to: "/proc/self/environ")
    #expect(try get("/relative/a") == "one")
    #expect(try get("/absolute/a") == "one")
    #expect(try get("/around") == "one")
    #expect(refusal("/out") == .forbidden)
    #expect(refusal("/outAbsolute") == .forbidden)
    #expect(refusal("/outDirectory/secret") == .forbidden)
    #expect(refusal("/outDirectory/www/relative/a") == nil)
    #expect(refusal("/loop") == .notFound)
    #expect(refusal("/dangling") == .notFound)
    #expect(refusal("/proc") == .forbidden)
  }

  @Test("a name that begins like the root's is outside of it")
  func siblingOfRoot() throws {
    try directory.makeDirectory("www2")
    try directory.write("www2/a", "secret")
    try directory.link("www/a", to: directory.path + "/www2/a")
    #expect(refusal("/a") == .forbidden)
  }

  @Test("what is no regular file is not found, and looking at it does not wait")
  func otherFiles() throws {
    #expect(mkfifo(directory.path + "/www/fifo", 0o644) == 0)
    #expect(refusal("/fifo") == .notFound)
  }

  @Test("a file the process may not read is forbidden")
  func unreadable() throws {
    let file = try directory.write("www/private", "private")
    #expect(chmod(file, 0) == 0)
    #expect(chmod(directory.path, 0o755) == 0)
    // Root may read everything; as somebody else, as far as files go, this thread may not.
    let before = setfsuid(65534)
    defer { setfsuid(uid_t(before)) }
    #expect(refusal("/private") == .forbidden)
  }

  @Test("a root that is replaced, or a link to it that is turned, is noticed")
  func rootReplaced() async throws {
    try directory.makeDirectory("1")
    try directory.makeDirectory("2")
    try directory.write("1/a", "one")
    try directory.write("2/a", "two")
    try directory.link("current", to: "1")
    let root = try DocumentRoot(path: directory.path + "/current")
    let path = try DocumentRootPath("/a".utf8)
    #expect(try root.open(path).descriptor.read(3) == Array("one".utf8))
    try directory.link("next", to: "2")
    try directory.move("next", to: "current")
    try await Task.sleep(for: .milliseconds(ServerLimits.fileValidity_ms + 20))
    #expect(try root.open(path).descriptor.read(3) == Array("two".utf8))
  }

  @Test("a path that is no directory cannot be a root")
  func noRoot() throws {
    try directory.write("file", "")
    for name in ["nothing", "file"] {
      #expect(throws: DocumentRoot.CannotServe.self) { try DocumentRoot(path: directory.path + "/" + name) }
    }
  }
}
