import Glibc

/// A temporary directory for tests that change files in the middle of something: a change that fails ends the tests,
/// so that it needs no `try` in closures and on other threads.
final class ChangingDirectory: Sendable {
  private let directory: TemporaryDirectory
  /// Absolute and without symbolic links.
  var path: String { directory.path }

  init() { directory = Self.must { try TemporaryDirectory() } }

  func url(_ name: String) -> String { path + "/" + name }

  /// Writes in place, as an editor without a temporary file would.
  func write(_ name: String, _ content: String) { Self.must { _ = try directory.write(name, content) } }
  func makeDirectory(_ name: String) { Self.must { try directory.makeDirectory(name) } }
  func link(_ name: String, to target: String) { Self.must { try directory.link(name, to: target) } }
  func rename(_ old: String, to new: String) { Self.must { try directory.move(old, to: new) } }
  func remove(_ name: String) {
    if Glibc.remove(url(name)) != 0 { fatalError("remove \(name): \(String(cString: strerror(errno)))") }
  }

  private static func must<Result>(_ change: () throws -> Result) -> Result {
    do { return try change() } catch { fatalError("\(error)") }
  }
}
