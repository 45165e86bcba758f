import Contract
import Glibc

/// The path of a request target as names below a document root: only paths whose every byte means itself.
///
/// Accepted: a leading "/", then names of the unreserved and sub-delim characters, ":" and "@" (RFC 3986 section 3.3,
/// without percent-encoding), at most `Limits.pathBytesMax` bytes in all. Refused: "%", an empty name ("//"), names
/// that begin with a dot (".", "..", hidden files), anything else. What is refused is no error: the user-mode half
/// knows what such a path means.
struct WatchedPath: Sendable, Equatable {
  /// The names between the slashes; empty for "/".
  private(set) var names: [String]
  /// The path ends in "/": it names a directory.
  private(set) var endsInSlash: Bool

  init?(_ target: [UInt8]) {
    guard target.first == UInt8(ascii: "/"), target.count <= Limits.pathBytesMax else { return nil }
    endsInSlash = target.last == UInt8(ascii: "/")
    var parts = target.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    if endsInSlash { parts.removeLast() }
    names = []
    for part in parts {
      guard let first = part.first, first != UInt8(ascii: "."), part.allSatisfy(Self.isPlain) else { return nil }
      names.append(String(decoding: part, as: UTF8.self))
    }
  }

  /// The same path with one more name; for an index file of a directory.
  func appending(_ name: String) -> WatchedPath {
    var path = self
    path.names.append(name)
    path.endsInSlash = false
    return path
  }

  /// The same path with a suffix to its last name; for side-cars such as `.br`.
  func appending(suffix: String) -> WatchedPath {
    precondition(!names.isEmpty && !endsInSlash, "only a file's name can have a suffix")
    var path = self
    path.names[names.count - 1] += suffix
    return path
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "!"),
      UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"),
      UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="),
      UInt8(ascii: ":"), UInt8(ascii: "@"):
      true
    default: false
    }
  }
}

extension WatchedPath {
  /// What a walk found at its end.
  enum Resolution: Equatable {
    /// `path` is absolute and without symbolic links; what it names is neither one.
    case found(path: String, status: FileMetadata)
    /// A name on the way is missing, or is no directory where one is needed.
    case missing
  }

  /// A walk that could not be finished.
  enum WalkError: Error, Equatable {
    /// More symbolic links than `ServerLimits.symbolicLinksMax`, as ELOOP of path_resolution(7).
    case tooManyLinks
    /// A symbolic link whose target is not UTF-8.
    case unreadableLink(String)
    case system(call: String, path: String, errno: Int32)
  }

  /// Walks from "/" over the root to what the path names, as path_resolution(7) does, name by name.
  ///
  /// `watch` is called with every name *before* it is looked up: a change is then either seen by the look-up or
  /// reported to the watcher, never neither. The names of the root's own path are among them, so a root that is
  /// a symbolic link (`current -> releases/42`) may be flipped. Symbolic links are followed wherever they lead: a
  /// caller that must stay below the root opens the file with openat2(2) and RESOLVE_BENEATH.
  ///
  /// - Parameter root: absolute path of the document root.
  /// - Throws: `WalkError`, and whatever `watch` throws.
  func resolve(below root: String, watch: (NameDependency) throws -> Void) throws -> Resolution {
    precondition(root.hasPrefix("/"), "the document root must be an absolute path")
    var pending = Array((root.split(separator: "/").map(String.init) + names).reversed())
    var directory = "/"
    var links = 0
    var status = try FileMetadata.ofLink(at: "/")
    while let name = pending.popLast() {
      if name == "." { continue }
      if name == ".." {
        // `directory` has no symbolic links in it, so its parent is the text before its last slash.
        directory = Self.parent(of: directory)
        status = try FileMetadata.ofLink(at: directory)
        continue
      }
      try watch(NameDependency(directory: directory, name: name))
      let path = directory == "/" ? "/" + name : directory + "/" + name
      guard let found = try FileMetadata.ofLinkIfAny(at: path) else { return .missing }
      status = found
      if found.isDirectory {
        directory = path
      } else if found.isSymbolicLink {
        links += 1
        if links > ServerLimits.symbolicLinksMax { throw WalkError.tooManyLinks }
        guard let target = try Self.readLink(path) else { return .missing }
        if target.hasPrefix("/") { directory = "/" }
        pending.append(contentsOf: target.split(separator: "/").map(String.init).reversed())
        // A link to "/" alone adds no name: what it names is the directory itself.
        status = try FileMetadata.ofLink(at: directory)
      } else {
        return pending.isEmpty && !endsInSlash ? .found(path: path, status: found) : .missing
      }
    }
    return .found(path: directory, status: status)
  }

  private static func parent(of directory: String) -> String {
    guard let slash = directory.lastIndex(of: "/"), slash != directory.startIndex else { return "/" }
    return String(directory[..<slash])
  }

  /// The target of a symbolic link; `nil` when it is gone or no longer one.
  private static func readLink(_ path: String) throws -> String? {
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(PATH_MAX)) { buffer in
      let length = path.withCString { name in
        buffer.withMemoryRebound(to: CChar.self) { Glibc.readlink(name, $0.baseAddress!, $0.count) }
      }
      if length < 0 {
        if errno == ENOENT || errno == EINVAL || errno == ENOTDIR { return nil }
        throw WalkError.system(call: "readlink", path: path, errno: errno)
      }
      guard let target = String(validating: buffer[..<length], as: UTF8.self), !target.isEmpty else {
        throw WalkError.unreadableLink(path)
      }
      return target
    }
  }
}

/// How a walk looks at files, and whether they have been left alone.
extension FileMetadata {
  /// lstat(2).
  static func ofLink(at path: String) throws -> FileMetadata {
    guard let status = try ofLinkIfAny(at: path) else {
      throw WatchedPath.WalkError.system(call: "lstat", path: path, errno: ENOENT)
    }
    return status
  }

  /// lstat(2); `nil` when there is no such file.
  static func ofLinkIfAny(at path: String) throws -> FileMetadata? {
    var status = stat()
    if lstat(path, &status) == 0 { return FileMetadata(status) }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw WatchedPath.WalkError.system(call: "lstat", path: path, errno: errno)
  }

  /// fstat(2).
  static func of(descriptor: Int32) throws -> FileMetadata {
    var status = stat()
    if fstat(descriptor, &status) == 0 { return FileMetadata(status) }
    throw WatchedPath.WalkError.system(call: "fstat", path: "", errno: errno)
  }

  /// How the file's last change relates to `ServerLimits.quiet_ms`.
  enum Quiet: Equatable {
    case quiet
    case notYet(retryAfter_ms: Int)
    /// Dated more than the quiet time ahead of the clock: waiting does not help.
    case inFuture
  }

  /// - Parameter now_ns: CLOCK_REALTIME.
  func quiet(now_ns: Int = QuietFiles.clock_ns(CLOCK_REALTIME)) -> Quiet {
    let age_ms = (now_ns - max(modified_ns, changed_ns)) / 1_000_000
    if age_ms >= ServerLimits.quiet_ms { return .quiet }
    if age_ms < -ServerLimits.quiet_ms { return .inFuture }
    return .notYet(retryAfter_ms: ServerLimits.quiet_ms - age_ms + 1)
  }
}
