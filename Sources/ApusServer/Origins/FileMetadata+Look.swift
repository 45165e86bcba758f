import CLinux
import Glibc

/// statx(2), with AT_STATX_FORCE_SYNC: network file systems ask their server instead of what they remember, which may
/// be a minute old. For others it changes nothing.
extension FileMetadata {
  init(_ status: statx) {
    // As makedev(3) puts the two numbers together, so that it is the same as with stat(2).
    let (major, minor) = (UInt64(status.stx_dev_major), UInt64(status.stx_dev_minor))
    device = (major & 0xfffff000) << 32 | (major & 0xfff) << 8 | (minor & 0xffffff00) << 12 | minor & 0xff
    inode = status.stx_ino
    size = Int(status.stx_size)
    modified_ns = Int(status.stx_mtime.tv_sec) * 1_000_000_000 + Int(status.stx_mtime.tv_nsec)
    changed_ns = Int(status.stx_ctime.tv_sec) * 1_000_000_000 + Int(status.stx_ctime.tv_nsec)
    mode = mode_t(status.stx_mode)
    links = UInt(status.stx_nlink)
  }

  /// What the path names, not following it if it is a symbolic link; otherwise the errno.
  static func look(at path: UnsafePointer<CChar>) -> Result<FileMetadata, LookError> {
    var status = statx()
    let flags = clinux_at_symlink_nofollow | clinux_at_statx_force_sync
    guard clinux_statx(clinux_at_fdcwd, path, flags, &status) == 0 else { return .failure(LookError(code: errno)) }
    return .success(FileMetadata(status))
  }

  struct LookError: Error, Equatable {
    /// An errno.
    var code: Int32
  }

  static func look(descriptor: Int32) -> Result<FileMetadata, LookError> {
    var status = statx()
    let flags = clinux_at_empty_path | clinux_at_statx_force_sync
    guard clinux_statx(descriptor, "", flags, &status) == 0 else { return .failure(LookError(code: errno)) }
    return .success(FileMetadata(status))
  }

  /// The same, of a path that may name nothing: `nil` then.
  static func ofLinkIfAny(at path: String) throws -> FileMetadata? {
    switch look(at: path) {
    case .success(let metadata): return metadata
    case .failure(let error) where error.code == ENOENT || error.code == ENOTDIR: return nil
    case .failure(let error): throw WatchedPath.WalkError.system(call: "statx", path: path, errno: error.code)
    }
  }

  static func of(descriptor: Int32) throws -> FileMetadata {
    do {
      return try look(descriptor: descriptor).get()
    } catch {
      throw WatchedPath.WalkError.system(call: "statx", path: "", errno: error.code)
    }
  }
}

/// Whether anybody has a file open for writing, or mapped for writing.
enum WriteAccess {
  /// The kernel tells it by refusing a lease (F_SETLEASE of fcntl(2)): a read lease is granted only on a file nobody
  /// can write to just now (check_conflicting_open in fs/locks.c). It is given back at once. Somebody who opens the
  /// file within that microsecond waits for it.
  ///
  /// A write through a shared mapping shows in no event before the file is closed, and in the file's times only with
  /// the first write to each page; so a file that may be mapped for writing must not be composed from.
  ///
  /// - Returns: `false` also where the kernel does not tell: to others than the file's owner without CAP_LEASE, and on
  ///   file systems without leases.
  static func exists(descriptor: Int32) -> Bool {
    _ = ignoresLeaseBreak
    if fcntl(descriptor, F_SETLEASE, F_RDLCK) == 0 {
      _ = fcntl(descriptor, F_SETLEASE, F_UNLCK)
      return false
    }
    return errno == EAGAIN
  }

  /// SIGIO tells a lease's holder that somebody waits for it; by default it ends the process.
  private static let ignoresLeaseBreak: Void = { _ = signal(SIGIO, SIG_IGN) }()
}
