import Foundation

/// A directory of its own under the temporary directory, removed with the object.
public final class ScratchDirectory {
  public let path: String

  /// - Parameter label: a word in the directory's name, so that a left-over tells where it came from.
  public init(_ label: String) throws {
    var template = Array("/tmp/apus-\(label)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SupportError.systemCall("mkdtemp", errno) }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    Janitor.shared.remember(directory: path)
    // mkdtemp(3) makes it 0700; servers under test drop their privileges and must still get in.
    chmod(path, 0o755)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  public func path(of name: String) -> String { path + "/" + name }

  /// Writes a file, with the directories above it.
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
    let target = path(of: name)
    let parent = target[..<target.lastIndex(of: "/")!]
    try FileManager.default.createDirectory(atPath: String(parent), withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: target))
  }

  /// Replaces a file as deployments do: written beside it, then renamed over it.
  public func replace(_ name: String, with bytes: some Sequence<UInt8>) throws {
    try write(bytes, to: name + ".new")
    guard rename(path(of: name + ".new"), path(of: name)) == 0 else { throw SupportError.systemCall("rename", errno) }
  }

  public func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(of: name))))
  }
}
