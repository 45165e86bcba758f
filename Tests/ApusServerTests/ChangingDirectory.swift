import Foundation
import Glibc

/// A directory of one test, removed with everything below it when the test lets go of it.
final class ChangingDirectory: Sendable {
  /// Absolute and without symbolic links.
  let path: String

  init() {
    var template = Array("/tmp/apus-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp: \(String(cString: strerror(errno)))") }
    let made = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let real = realpath(made, nil) else { fatalError("realpath: \(String(cString: strerror(errno)))") }
    path = String(cString: real)
    free(real)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func url(_ name: String) -> String { path + "/" + name }

  /// Writes in place, as an editor without a temporary file would.
  func write(_ name: String, _ content: String) {
    guard let file = fopen(url(name), "w") else { fatalError("\(name): \(String(cString: strerror(errno)))") }
    fputs(content, file)
    fclose(file)
  }

  func makeDirectory(_ name: String) { check(mkdir(url(name), 0o755), name) }
  func link(_ name: String, to target: String) { check(symlink(target, url(name)), name) }
  func rename(_ old: String, to new: String) { check(Glibc.rename(url(old), url(new)), old) }
  func remove(_ name: String) { check(Glibc.remove(url(name)), name) }

  private func check(_ result: Int32, _ name: String) {
    if result != 0 { fatalError("\(name): \(String(cString: strerror(errno)))") }
  }
}
