import Glibc

/// What tells one version of a file from another, from fstat(2).
struct FileMetadata: Equatable, Sendable {
  var device: UInt64
  var inode: UInt64
  /// In bytes.
  var size: Int
  /// st_mtim, nanoseconds since 1970. Programs may set it to anything.
  var modified_ns: Int
  /// st_ctim, nanoseconds since 1970. Only the kernel sets it, at every change of the bytes or attributes.
  var changed_ns: Int
  var mode: mode_t
  var links: UInt

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int(status.st_size)
    modified_ns = Int(status.st_mtim.tv_sec) * 1_000_000_000 + status.st_mtim.tv_nsec
    changed_ns = Int(status.st_ctim.tv_sec) * 1_000_000_000 + status.st_ctim.tv_nsec
    mode = status.st_mode
    links = UInt(status.st_nlink)
  }

  var isRegularFile: Bool { mode & S_IFMT == S_IFREG }
  var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
  var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }

  /// Whether the two are versions of one file, or the same.
  func isSameFile(as other: FileMetadata) -> Bool { device == other.device && inode == other.inode }

  /// The second of the change time.
  var changed_s: Int { changed_ns / 1_000_000_000 }

  /// The second Last-Modified names: that of the modification time, but never one in the future, which must not be
  /// sent (RFC 9110 section 8.8.2.1): the change time is no later than the moment the file was looked at.
  var lastModified_s: Int { max(0, min(modified_ns / 1_000_000_000, changed_s)) }
}
