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

  /// A look or a listing that failed.
  enum WalkError: Error, Equatable {
    case system(call: String, path: String, errno: Int32)
  }

  /// Walks from "/" over the root to what the path names (`PathWalk`).
  ///
  /// `watch` is called with every name before it is looked up. The names of the root's own path are among them, so a
  /// root that is a symbolic link (`current -> releases/42`) may be flipped. Symbolic links are followed wherever they
  /// lead.
  ///
  /// - Parameter root: absolute path of the document root.
  /// - Throws: what `PathWalk.follow` throws, and `WalkError`.
  func resolve(below root: String, watch: (NameDependency) throws -> Void) throws -> Resolution {
    precondition(root.hasPrefix("/"), "the document root must be an absolute path")
    return try withoutActuallyEscaping(watch) { watch in
      var walk = PathWalk(watch: watch)
      do {
        try walk.follow(PathWalk.names(root.utf8) + names.map { Array($0.utf8) })
      } catch DocumentRootRefusal.notFound {
        return .missing
      }
      // The walk has reported the name as UTF-8.
      let path = String(decoding: walk.absolutePath, as: UTF8.self)
      guard let status = try FileMetadata.ofLinkIfAny(at: path), status.isDirectory || !endsInSlash else {
        return .missing
      }
      return .found(path: path, status: status)
    }
  }
}
