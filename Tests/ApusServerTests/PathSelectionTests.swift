import Testing

@testable import ApusServer

@Suite("Which paths may be answered in the kernel")
struct PathSelectionTests {
  private func admits(_ path: String, only: [String] = [], never: [String] = []) throws -> Bool {
    let selection = PathSelection(
      only: try only.map { try #require(PathSelection.Pattern($0)) },
      never: try never.map { try #require(PathSelection.Pattern($0)) })
    return selection.admits(Array(path.utf8))
  }

  @Test("prefixes of paths and extensions of names; never wins")
  func patterns() throws {
    #expect(try admits("/a.html"))
    #expect(try admits("/static/a.html", only: ["/static/"]) && !admits("/stati/a.html", only: ["/static/"]))
    #expect(try admits("/a.css", only: ["/static/", "*.css"]) && !admits("/a.css.map", only: [".css"]))
    #expect(try !admits("/private/a.css", only: [".css"], never: ["/private/"]))
    #expect(try !admits("/a.php", never: [".php"]) && admits("/a.php5", never: [".php"]))
    #expect(try !admits("/css", only: [".css"]))
  }

  @Test("what is not selected is not even looked for")
  func origin() throws {
    struct Source: Origin {
      func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
        .sample("composed")
      }
    }
    let selected = SelectedOrigin(origin: Source(), selection: PathSelection(never: [.suffix(".php")]))
    func compose(_ path: String) throws -> ComposedObject {
      try selected.compose(ObjectRequest(key: ObjectKey(path), host: [])) { _ in }
    }
    #expect(try compose("/a").body == Array("composed".utf8))
    #expect(throws: OriginRefusal.notStorable("not for the kernel")) { try compose("/a.php") }
  }

  @Test("before an upstream only files are stored: 404 and 301 are its to say")
  func filesOnly() async throws {
    let directory = try TemporaryDirectory()
    try directory.makeDirectory("sub")
    try directory.write("a.txt", "a")
    try await Task.sleep(for: .milliseconds(ServerLimits.quiet_ms + 20))
    let root = try DocumentRoot(path: directory.path)
    for (filesOnly, path, isStored) in [
      (false, "/none", true), (false, "/sub", true), (true, "/none", false), (true, "/sub", false),
      (true, "/a.txt", true),
    ] {
      let origin = SelectedOrigin(origin: root, selection: PathSelection(), filesOnly: filesOnly)
      let object = try? origin.compose(ObjectRequest(key: ObjectKey(path), host: [])) { _ in }
      #expect((object != nil) == isStored, "\(path)")
    }
  }
}
