import Testing

@testable import ApusServer

@Suite struct WatchedPathTests {
  @Test(arguments: [
    ("/", [], true), ("/a.css", ["a.css"], false), ("/a/b.css", ["a", "b.css"], false),
    ("/a/", ["a"], true), ("/a.b-c_d~e/f@1.2", ["a.b-c_d~e", "f@1.2"], false),
  ])
  func plainPathsAreNames(path: String, names: [String], endsInSlash: Bool) throws {
    let parsed = try #require(WatchedPath(Array(path.utf8)))
    #expect(parsed.names == names)
    #expect(parsed.endsInSlash == endsInSlash)
  }

  @Test(arguments: [
    "", "a", "//", "/a//b", "/.", "/..", "/a/../b", "/./a", "/.htaccess", "/a/.git/config", "/%61", "/a b", "/a?b",
    "/a#b", "/a\\b", "/\u{e9}", "/a\u{0}", "/" + String(repeating: "a", count: 255),
  ])
  func otherPathsAreRefused(path: String) {
    #expect(WatchedPath(Array(path.utf8)) == nil)
  }

  /// The names a walk watches below the test's own directory, and what it found.
  private func walk(
    _ path: String, in directory: ChangingDirectory
  ) throws -> (WatchedPath.Resolution, [NameDependency]) {
    var watched: [NameDependency] = []
    let resolution = try #require(WatchedPath(Array(path.utf8)))
      .resolve(below: directory.path) { watched.append($0) }
    return (resolution, watched.filter { $0.directory.hasPrefix(directory.path) })
  }

  private func path(of resolution: WatchedPath.Resolution) -> String? {
    if case .found(let path, _) = resolution { path } else { nil }
  }

  @Test func everyNameOnTheWayIsWatched() throws {
    let directory = ChangingDirectory()
    directory.makeDirectory("a")
    directory.write("a/b", "1")
    let (resolution, watched) = try walk("/a/b", in: directory)
    #expect(path(of: resolution) == directory.url("a/b"))
    #expect(
      watched == [
        NameDependency(directory: directory.path, name: "a"),
        NameDependency(directory: directory.url("a"), name: "b"),
      ])
  }

  @Test func theRootsOwnNamesAreWatched() throws {
    let directory = ChangingDirectory()
    var watched: [NameDependency] = []
    let parsed = try #require(WatchedPath(Array("/".utf8)))
    let resolution = try parsed.resolve(below: directory.path) { watched.append($0) }
    #expect(path(of: resolution) == directory.path)
    #expect(watched.first == NameDependency(directory: "/", name: "tmp"))
  }

  @Test func symbolicLinksAreFollowedAndWatchedAtBothEnds() throws {
    let directory = ChangingDirectory()
    directory.makeDirectory("r1")
    directory.makeDirectory("r1/sub")
    directory.write("r1/f", "1")
    directory.link("current", to: "r1")
    directory.link("r1/sub/up", to: "../f")
    let (resolution, watched) = try walk("/current/sub/up", in: directory)
    #expect(path(of: resolution) == directory.url("r1/f"))
    #expect(
      watched == [
        NameDependency(directory: directory.path, name: "current"),
        NameDependency(directory: directory.path, name: "r1"),
        NameDependency(directory: directory.url("r1"), name: "sub"),
        NameDependency(directory: directory.url("r1/sub"), name: "up"),
        NameDependency(directory: directory.url("r1"), name: "f"),
      ])
  }

  @Test func aMissingNameIsWatchedToo() throws {
    let directory = ChangingDirectory()
    let (resolution, watched) = try walk("/a/b", in: directory)
    #expect(resolution == .missing)
    #expect(watched == [NameDependency(directory: directory.path, name: "a")])
  }

  @Test func aFileIsNoDirectory() throws {
    let directory = ChangingDirectory()
    directory.write("f", "1")
    #expect(try walk("/f/", in: directory).0 == .missing)
    #expect(try walk("/f/g", in: directory).0 == .missing)
  }

  @Test func linksInACircleEnd() throws {
    let directory = ChangingDirectory()
    directory.link("a", to: "b")
    directory.link("b", to: "a")
    #expect(try walk("/a", in: directory).0 == .missing)
  }
}

extension FileMetadata {
  static var stub: FileMetadata { try! FileMetadata.ofLinkIfAny(at: "/")! }
}
