import Contract
import Glibc
import NIOCore
import Testing

@testable import ApusServer

/// Files beside files, and what is not there: the same answer from both halves.
@Suite("Document root: side-cars, redirections, 404s")
struct SideCarTests {
  let directory: TemporaryDirectory
  let root: DocumentRoot

  init() throws {
    directory = try TemporaryDirectory()
    try directory.makeDirectory("www")
    root = try DocumentRoot(path: directory.path + "/www")
  }

  private func compose(
    _ path: String, watch: (NameDependency) throws -> Void = { _ in }
  ) throws -> ComposedObject {
    try root.compose(ObjectRequest(key: ObjectKey(path), host: []), watch: watch)
  }

  private func becomeQuiet() async throws {
    try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 20))
  }

  /// Sets the modification time, which is what makes a side-car older than its file.
  private func setModified(_ name: String, _ second: Int, nanosecond: Int = 0) {
    var times = [timespec(tv_sec: second, tv_nsec: nanosecond), timespec(tv_sec: second, tv_nsec: nanosecond)]
    #expect(utimensat(AT_FDCWD, directory.path + "/www/" + name, &times, 0) == 0)
  }

  private static func order(_ value: String) -> CodingOrder {
    Array(value.utf8).withUnsafeBytes { CodingOrder(acceptEncoding: $0) }
  }

  /// What the user half answers.
  private func userAnswer(_ path: String, accepting value: String) -> (head: [UInt8], body: [UInt8]) {
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    let answer = Array(path.utf8).withUnsafeBytes {
      files.answer(
        site: 0, path: $0, query: UnsafeRawBufferPointer(rebasing: $0[$0.count...]), order: Self.order(value), now_ns: 0
      )
    }
    switch answer {
    case .file(let file):
      return (Array(file.persistentHead.readableBytesView), Array(file.memory?.readableBytesView ?? []))
    case .redirection(let response), .status(let response):
      return (response.head(persistent: true).bytes, response.body)
    case .directory: return ([], [])
    }
  }

  /// The representation the kernel half would choose. `nil`: handed over.
  private func kernelAnswer(_ object: ComposedObject, accepting value: String) -> ComposedObject.Representation? {
    for coding in Self.order(value).codings {
      switch object.representations[Int(coding.rawValue)] {
      case .none: continue
      case .elsewhere: return nil
      case .stored(let representation): return representation
      }
    }
    return object.representation(.identity)
  }

  static let values = [
    "", "gzip, deflate, br, zstd", "gzip, deflate", "br;q=0.1, zstd", "identity", "*", "gzip;q=0", "zstd",
    "identity, gzip;q=0.5", "gzip;;q=1", "br\t", "x-gzip",
  ]

  @Test("both halves answer with the same representation, head and bytes", arguments: values)
  func same(value: String) async throws {
    try directory.write("www/a.css", String(repeating: "a", count: 3000))
    for (suffix, size) in [(".br", 1000), (".zst", 1100), (".gz", 1200)] {
      try directory.write("www/a.css" + suffix, [UInt8](repeating: UInt8(size / 100), count: size))
      try directory.write("www/only\(suffix).txt\(suffix)", suffix)
      try directory.write("www/only\(suffix).txt", "identity")
      setModified("only\(suffix).txt", 1_000_000_000)
    }
    setModified("a.css", 1_000_000_000)
    try directory.makeDirectory("www/sub")
    try directory.write("www/sub/index.html", "index")
    setModified("sub/index.html", 1_000_000_000)
    try directory.write("www/sub/index.html.gz", "gz")
    try await becomeQuiet()
    for path in [
      "/a.css", "/only.br.txt", "/only.zst.txt", "/only.gz.txt", "/sub/", "/a.css.gz", "/none", "/sub", "/n.png",
    ] {
      let object = try compose(path)
      let kernel = try #require(kernelAnswer(object, accepting: value), "\(path)")
      let user = userAnswer(path, accepting: value)
      #expect(kernel.heads[VariantIndex.persistent11]?.bytes == user.head, "\(path)")
      #expect(kernel.body == user.body, "\(path)")
      let isNegotiated = !["/a.css.gz", "/sub", "/n.png"].contains(path)
      #expect(
        String(decoding: user.head, as: UTF8.self).contains("\r\nVary: Accept-Encoding\r\n") == isNegotiated, "\(path)")
    }
  }

  @Test("a side-car has its own length, tag and date, and 304 says the same in Vary")
  func ownMetadata() async throws {
    try directory.write("www/a.js", "identity")
    setModified("a.js", 1_000_000_000)
    try directory.write("www/a.js.br", "br")
    setModified("a.js.br", 1_000_000_060)
    try await becomeQuiet()
    let object = try compose("/a.js")
    let identity = try #require(object.representation(.identity))
    let brotli = try #require(object.representation(.brotli))
    let text = String(decoding: brotli.heads[0]!.bytes, as: UTF8.self)
    #expect(text.contains("\r\nContent-Length: 2\r\nContent-Encoding: br\r\nVary: Accept-Encoding\r\n"))
    #expect(text.contains("\r\nContent-Type: text/javascript; charset=utf-8\r\n"))
    #expect(text.contains("\r\nLast-Modified: Sun, 09 Sep 2001 01:47:40 GMT\r\n"))
    guard case .evaluated(let first, let heads) = identity.conditions,
      case .evaluated(let second, let encodedHeads) = brotli.conditions
    else {
      Issue.record("preconditions are not evaluated")
      return
    }
    #expect(first.tag != second.tag)
    for head in heads + encodedHeads {
      #expect(String(decoding: head!.bytes, as: UTF8.self).contains("\r\nVary: Accept-Encoding\r\n"))
    }
  }

  @Test("a side-car that is older than its file is not used, by either half; of the same age it is")
  func older() async throws {
    try directory.write("www/a.txt", "identity")
    try directory.write("www/a.txt.gz", "gz")
    setModified("a.txt", 1_000_000_000, nanosecond: 500)
    for (nanosecond, isUsed) in [(499, false), (500, true), (501, true)] {
      setModified("a.txt.gz", 1_000_000_000, nanosecond: nanosecond)
      try await becomeQuiet()
      #expect((try compose("/a.txt").representation(.gzip) != nil) == isUsed)
      #expect(userAnswer("/a.txt", accepting: "gzip").body == Array((isUsed ? "gz" : "identity").utf8))
    }
  }

  @Test("a side-car without its file is no answer")
  func orphan() async throws {
    try directory.write("www/a.txt.gz", "gz")
    try await becomeQuiet()
    #expect(try compose("/a.txt").isNegative)
    #expect(String(decoding: userAnswer("/a.txt", accepting: "gzip").head, as: UTF8.self).hasPrefix("HTTP/1.1 404 "))
  }

  @Test("types that are compressed as they are have no side-cars")
  func compressedTypes() async throws {
    for name in ["a.png", "a.woff2", "a.zip", "a.mp4", "a.br", "a.gz"] {
      try directory.write("www/" + name, "identity")
      try directory.write("www/\(name).gz", "gz")
      try await becomeQuiet()
      #expect(try compose("/" + name).representation(.gzip) == nil)
      #expect(userAnswer("/" + name, accepting: "gzip").body == Array("identity".utf8))
    }
    #expect(MediaType.isNegotiated(name: Array("a.svg".utf8)) && MediaType.isNegotiated(name: Array("README".utf8)))
  }

  @Test("what does not fit is handed over to those who want it, the rest is stored")
  func tooLarge() async throws {
    try directory.write("www/a.js", [UInt8](repeating: 1, count: 100_000))
    setModified("a.js", 1_000_000_000)
    try directory.write("www/a.js.br", [UInt8](repeating: 2, count: 12_000))
    try directory.write("www/a.js.gz", [UInt8](repeating: 3, count: 14_000))
    try directory.write("www/a.js.zst", [UInt8](repeating: 4, count: 13_000))
    try await becomeQuiet()
    let object = try compose("/a.js")
    #expect(kernelAnswer(object, accepting: "br")?.body.count == 12_000)
    #expect(kernelAnswer(object, accepting: "zstd")?.body.count == 13_000)
    #expect(kernelAnswer(object, accepting: "gzip") == nil && kernelAnswer(object, accepting: "") == nil)
    #expect(throws: Never.self) { try Record(object, for: ObjectKey("/a.js"), hash: 1) }
  }

  @Test("every side-car's name is watched before it is looked up, there or not; no name is watched twice")
  func dependencies() async throws {
    try directory.write("www/a.txt", "identity")
    try await becomeQuiet()
    var names: [NameDependency] = []
    _ = try compose("/a.txt") { names.append($0) }
    for suffix in ["", ".br", ".zst", ".gz"] {
      #expect(names.contains(NameDependency(directory: directory.path + "/www", name: "a.txt" + suffix)))
    }
    #expect(Set(names).count == names.count)
    // One that appears meanwhile is seen, or its name has been watched.
    let last = NameDependency(directory: directory.path + "/www", name: "a.txt.gz")
    let object = try? compose("/a.txt") { if $0 == last { try directory.write("www/a.txt.gz", "gz") } }
    #expect(object?.representation(.gzip) == nil)
  }

  @Test("what is missing is 404, with the first missing name watched; a directory without its slash is 301")
  func negative() async throws {
    try directory.makeDirectory("www/sub")
    var names: [NameDependency] = []
    let missing = try compose("/sub/none/a.txt") { names.append($0) }
    #expect(missing.isNegative && names.contains(NameDependency(directory: directory.path + "/www/sub", name: "none")))
    #expect(missing.body == StatusResponse(.notFound).body)
    guard case .ignored? = missing.representation(.identity)?.conditions else {
      Issue.record("preconditions matter to a 404")
      return
    }
    let moved = try compose("/sub")
    let head = String(decoding: moved.heads[0]!.bytes, as: UTF8.self)
    #expect(head.hasPrefix("HTTP/1.1 301 ") && head.contains("\r\nLocation: /sub/\r\n") && !moved.isNegative)
    #expect(try compose("/.env").isNegative)
    // What a directory without an index is answered with is not for here to say.
    #expect(throws: OriginRefusal.notStorable("not found")) { try compose("/sub/") }
  }

  @Test("the user half keeps a file once for every order, and one without a choice once for all")
  func cached() async throws {
    try directory.write("www/a.txt", "identity")
    setModified("a.txt", 1_000_000_000)
    try directory.write("www/a.txt.gz", "gz")
    try directory.write("www/a.png", "png")
    try await becomeQuiet()
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    func answer(_ path: String, _ value: String, at now_ns: Int) throws -> CachedFile {
      let answer = Array(path.utf8).withUnsafeBytes {
        files.answer(
          site: 0, path: $0, query: UnsafeRawBufferPointer(rebasing: $0[$0.count...]), order: Self.order(value),
          now_ns: now_ns)
      }
      guard case .file(let file) = answer else { throw TestError() }
      return file
    }
    struct TestError: Error {}
    let encoded = try answer("/a.txt", "gzip", at: 0)
    let plain = try answer("/a.txt", "", at: 0)
    #expect(encoded !== plain && encoded.response.coding == .gzip && plain.response.coding == .identity)
    #expect(try answer("/a.txt", "gzip", at: 1) === encoded && answer("/a.txt", "", at: 1) === plain)
    #expect(try answer("/a.png", "gzip", at: 0) === answer("/a.png", "br, zstd", at: 1))
    // After a while it is looked at again: the side-car is gone, or the file is newer than it.
    let later = ServerLimits.fileValidity_ms * 1_000_000 + 2
    #expect(try answer("/a.txt", "gzip", at: later) === encoded)
    setModified("a.txt", 1_900_000_000)
    #expect(String(buffer: try #require(answer("/a.txt", "gzip", at: 3 * later).memory)) == "identity")
    setModified("a.txt", 1_000_000_000)
    #expect(String(buffer: try #require(answer("/a.txt", "gzip", at: 5 * later).memory)) == "gz")
    #expect(remove(directory.path + "/www/a.txt.gz") == 0)
    #expect(String(buffer: try #require(answer("/a.txt", "gzip", at: 7 * later).memory)) == "identity")
  }
}
