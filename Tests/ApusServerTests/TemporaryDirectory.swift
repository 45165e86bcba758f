import Glibc

/// A directory of a test, removed with it.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/apus-test-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template), let real = realpath(made, nil) else { throw Failure(call: "mkdtemp") }
    path = String(cString: real)
    free(real)
  }

  deinit { Self.remove(path) }

  struct Failure: Error {
    let call: String
    let error = errno
  }

  /// Writes a file in place.
  @discardableResult
  func write(_ name: String, _ content: some Sequence<UInt8>) throws -> String {
    let full = path + "/" + name
    let descriptor = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Failure(call: "open \(name)") }
    defer { close(descriptor) }
    let bytes = Array(content)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw Failure(call: "write \(name)") }
    return full
  }

  @discardableResult
  func write(_ name: String, _ content: String) throws -> String { try write(name, content.utf8) }

  func makeDirectory(_ name: String) throws {
    guard mkdir(path + "/" + name, 0o755) == 0 else { throw Failure(call: "mkdir \(name)") }
  }

  func link(_ name: String, to target: String) throws {
    guard symlink(target, path + "/" + name) == 0 else { throw Failure(call: "symlink \(name)") }
  }

  func move(_ name: String, to other: String) throws {
    guard rename(path + "/" + name, path + "/" + other) == 0 else { throw Failure(call: "rename \(name)") }
  }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard name != ".", name != ".." else { continue }
        if entry.pointee.d_type == UInt8(DT_DIR) {
          remove(path + "/" + name)
        } else {
          unlink(path + "/" + name)
        }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}
