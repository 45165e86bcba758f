import Contract
import Glibc
import Testing

@testable import ApusServer

@Suite("Document root: objects for the kernel half")
struct DocumentRootComposeTests {
  let directory: TemporaryDirectory
  let root: DocumentRoot

  init() throws {
    directory = try TemporaryDirectory()
    try directory.makeDirectory("www")
    root = try DocumentRoot(path: directory.path + "/www")
  }

  func compose(
    _ path: String, root: DocumentRoot? = nil, watch: (NameDependency) throws -> Void = { _ in }
  ) throws -> ComposedObject {
    let key = ObjectKey(site: 0, path: Array(path.utf8))
    return try (root ?? self.root).compose(ObjectRequest(key: key, host: []), watch: watch)
  }

  /// Waits until what was written last is quiet.
  func becomeQuiet() async throws {
    try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 20))
  }

  func refusal(_ path: String) -> OriginRefusal? {
    do {
      _ = try compose(path)
      return nil
    } catch {
      return error as? OriginRefusal
    }
  }

  @Test("a quiet file becomes an object: the user half's head and the bytes")
  func composed() async throws {
    let file = try directory.write("www/a.css", "a{}")
    try await becomeQuiet()
    let object = try compose("/a.css")
    var status = stat()
    #expect(stat(file, &status) == 0)
    let response = FileResponse(name: Array("a.css".utf8), metadata: FileMetadata(status))
    #expect(object.body == Array("a{}".utf8))
    #expect(object.heads == response.representation(Array("a{}".utf8)).heads)
    guard case .evaluated(let validators, let heads)? = object.representation(.identity)?.conditions else {
      Issue.record("no preconditions")
      return
    }
    #expect(
      validators.tag == response.tag.bytes && validators.lastModified == HTTPDate.bytes(Int(status.st_mtim.tv_sec)))
    #expect(heads == ComposedObject.Head.byVariant(response.notModifiedHead))
    #expect(object.representation(.identity)?.answersHead == true && !object.isNegative)
  }

  @Test("a file written just now is refused for as long as it takes to be quiet, and no longer")
  func notQuiet() async throws {
    try directory.write("www/a", "a")
    guard case .notQuiet(let wait_ms)? = refusal("/a") else {
      Issue.record("composed, or refused for another reason")
      return
    }
    #expect((1...ServerLimits.quiet_ms + 1).contains(wait_ms))
    try await Task.sleep(for: .milliseconds(wait_ms))
    #expect(refusal("/a") == nil)
  }

  @Test("setting the modification time back does not make a file quiet")
  func timeSetBack() throws {
    let file = try directory.write("www/a", "a")
    var times = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: 0, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, file, &times, 0) == 0)
    guard case .notQuiet? = refusal("/a") else {
      Issue.record("composed a file changed just now")
      return
    }
  }

  @Test("a change time in the future counts as quiet once seen unchanged for long enough")
  func futureChange() {
    let files = QuietFiles()
    let now_ns = 1_000_000_000_000_000_000
    var file = someFile(modified_ns: now_ns, changed_ns: now_ns + 3_600_000_000_001)
    func wait(at ms: Int) -> Int {
      files.wait_ms(
        file, QuietFiles.Clocks(realtime_ns: now_ns + ms * 1_000_000, monotonic_ns: ms * 1_000_000))
    }
    #expect(wait(at: 0) == ServerLimits.quiet_ms)
    #expect(wait(at: 150) > 0)
    #expect(wait(at: 201) == 0)
    file.changed_ns += 1
    #expect(wait(at: 202) == ServerLimits.quiet_ms)
    #expect(wait(at: 403) == 0)
  }

  @Test("a modification time in the future does not keep a file from being quiet")
  func futureModification() {
    let now_ns = 1_000_000_000_000_000_000
    let file = someFile(modified_ns: now_ns * 2, changed_ns: now_ns - 1_000_000_001)
    #expect(QuietFiles().wait_ms(file, QuietFiles.Clocks(realtime_ns: now_ns, monotonic_ns: 0)) == 0)
  }

  @Test("a file somebody can write to through a mapping is not quiet, one with other names is composed")
  func openForWriting() async throws {
    let file = try directory.write("www/a", "a")
    #expect(link(file, directory.path + "/www/b") == 0)
    try await becomeQuiet()
    let descriptor = open(file, O_RDWR | O_CLOEXEC)
    let mapping = mmap(nil, 1, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    close(descriptor)
    #expect(refusal("/a") == .notQuiet(retryAfter_ms: ServerLimits.quiet_ms))
    munmap(mapping, 1)
    #expect(refusal("/a") == nil)
    #expect(refusal("/b") == nil)
  }

  @Test("whole seconds in a file's times keep it from being quiet for two of them")
  func coarseTimes() {
    let now_ns = 1_000_000_000_000_000_000
    let file = someFile(modified_ns: now_ns - 1_000_000_000, changed_ns: now_ns - 1_000_000_000)
    #expect(QuietFiles().wait_ms(file, QuietFiles.Clocks(realtime_ns: now_ns, monotonic_ns: 0)) == 1201)
    let fine = someFile(modified_ns: now_ns - 1_000_000_000, changed_ns: now_ns - 1_000_000_001)
    #expect(QuietFiles().wait_ms(fine, QuietFiles.Clocks(realtime_ns: now_ns, monotonic_ns: 0)) == 0)
  }

  @Test("a file whose times come from another clock is quiet once it was seen unchanged")
  func otherClock() {
    let files = QuietFiles()
    let now_ns = 1_000_000_000_000_000_000
    let file = someFile(modified_ns: 1, changed_ns: 1)
    func wait(at ms: Int) -> Int {
      files.wait_ms(
        file, QuietFiles.Clocks(realtime_ns: now_ns, monotonic_ns: ms * 1_000_000, isFilesOwn: false))
    }
    #expect(wait(at: 0) == ServerLimits.quiet_ms)
    #expect(wait(at: ServerLimits.quiet_ms) == 0)
  }

  @Test("a file that changes while it is read is not composed", arguments: ["write", "replace"])
  func changedBetween(how: String) async throws {
    try directory.write("www/a", String(repeating: "a", count: 10_000))
    try directory.write("www/b", String(repeating: "b", count: 10_000))
    try await becomeQuiet()
    // The last name is reported before it is looked up: the change comes between that and the reading.
    let last = NameDependency(directory: directory.path + "/www", name: "a")
    var changed = false
    let object = try? compose("/a") { dependency in
      guard dependency == last else { return }
      changed = true
      if how == "write" {
        try directory.write("www/a", String(repeating: "c", count: 10_000))
      } else {
        try directory.move("b", to: "a")
      }
    }
    #expect(changed)
    #expect(object == nil || object!.body.allSatisfy { $0 == object!.body[0] })
    if how == "write" { #expect(object == nil) }
  }

  @Test("every name on the way is reported before it is looked up, those behind links too")
  func dependencies() async throws {
    try directory.makeDirectory("www/r1")
    try directory.makeDirectory("www/r1/sub")
    try directory.write("www/r1/sub/index.html", "x")
    try directory.link("www/current", to: "r1")
    try directory.link("site", to: directory.path + "/www")
    try await becomeQuiet()
    let root = try DocumentRoot(path: directory.path + "/site")
    var names: [NameDependency] = []
    _ = try compose("/current/sub/", root: root) { names.append($0) }
    let base = directory.path
    let www = base + "/www"
    let expected = [
      (base, "site"), (www, "current"), (www, "r1"), (www + "/r1", "sub"), (www + "/r1/sub", "index.html"),
    ]
    for (directory, name) in expected {
      #expect(names.contains(NameDependency(directory: directory, name: name)), "\(directory) \(name)")
    }
    // The parents of the root, down from the root of the file system.
    let last = base.split(separator: "/").last.map(String.init)
    #expect(names.first?.directory == "/")
    #expect(names.contains(NameDependency(directory: "/tmp", name: last)))
    #expect(names.allSatisfy { !$0.directory.contains("current") && !$0.directory.contains("site") })
  }

  @Test("a name that cannot be watched stops the composition")
  func cannotWatch() async throws {
    try directory.write("www/a", "a")
    try await becomeQuiet()
    struct NoWatch: Error {}
    #expect(throws: NoWatch.self) { try compose("/a") { _ in throw NoWatch() } }
  }

  @Test("only what fits a record and a burst is stored")
  func sizes() async throws {
    let headLength = 400
    try directory.write("www/fits", [UInt8](repeating: 1, count: Limits.responseBytesMax - headLength))
    try directory.write("www/large", [UInt8](repeating: 1, count: Limits.responseBytesMax))
    try directory.write("www/empty", "")
    try await becomeQuiet()
    #expect(try compose("/fits").body.count == Limits.responseBytesMax - headLength)
    #expect(refusal("/large") == .notStorable("too large"))
    #expect(try compose("/empty").body == [])
  }

  @Test(
    "paths with another spelling, and what is no file, are never stored",
    arguments: [
      "/%61", "//a", "/sub//a", "/./a", "/sub/../a", "/a?x", "/ü", "/a ", "a", "", "/sub/",
      "/" + String(repeating: "a", count: 255), "/out",
    ])
  func notStorable(path: String) async throws {
    try directory.write("www/a", "a")
    try directory.write("www/.env", "a")
    try directory.makeDirectory("www/sub")
    try directory.write("secret", "a")
    try directory.link("www/out", to: "../secret")
    try await becomeQuiet()
    guard case .notStorable? = refusal(path) else {
      Issue.record("composed, or refused for another reason: \(String(describing: refusal(path)))")
      return
    }
  }
}
