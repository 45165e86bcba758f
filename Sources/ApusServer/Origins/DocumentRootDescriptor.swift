import CLinux
import Glibc

/// A file descriptor that is closed with its last reference.
final class Descriptor: Sendable {
  let number: CInt

  init(owning number: CInt) { self.number = number }
  deinit { close(number) }

  /// statx(2).
  func metadata() throws(DocumentRootRefusal) -> FileMetadata {
    switch FileMetadata.look(descriptor: number) {
    case .success(let metadata): return metadata
    case .failure(let error): throw .failed(errno: error.code)
    }
  }

  /// Reads up to `count` bytes with pread(2), fewer only at the end of the file.
  func read(_ count: Int, at offset: Int = 0) throws(DocumentRootRefusal) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let result = pread(number, buffer.baseAddress! + initialized, count - initialized, offset + initialized)
        if result < 0, errno == EINTR { continue }
        if result < 0 { failure = errno }
        guard result > 0 else { return }
        initialized += result
      }
    }
    guard failure == 0 else { throw .failed(errno: failure) }
    return bytes
  }
}

/// openat2(2), for paths that must stay beneath a directory.
enum BeneathOpen {
  enum Links {
    /// Followed, as long as no step leaves the directory: not by `..`, not by a link, not by /proc.
    case followedBeneath
    /// There must be none.
    case none
  }

  enum Outcome {
    case opened(Descriptor)
    /// The path leads out of the directory, or has a link where there must be none.
    case escapes
    case refused(DocumentRootRefusal)
  }

  /// Opens the path made of `names`, relative to `directory`.
  ///
  /// - Parameter flags: O_PATH to look only; O_CLOEXEC is added.
  static func open(_ names: [[UInt8]], beneath directory: Descriptor, flags: CInt, links: Links) -> Outcome {
    let path = names.joined(separator: [UInt8(ascii: "/")]).map(CChar.init(bitPattern:)) + [0]
    var how = open_how()
    how.flags = UInt64(flags | O_CLOEXEC)
    how.resolve = UInt64(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    if links == .none { how.resolve |= UInt64(RESOLVE_NO_SYMLINKS) }
    // EAGAIN: a rename somewhere on the machine kept the kernel from being sure about a `..`; it asks to try again.
    for _ in 0..<128 {
      let descriptor = clinux_openat2(directory.number, path, &how)
      if descriptor >= 0 { return .opened(Descriptor(owning: descriptor)) }
      switch errno {
      case EAGAIN, EINTR: continue
      case EXDEV: return .escapes
      case ELOOP where links == .none: return .escapes
      default: return .refused(refusal(errno))
      }
    }
    return .refused(.failed(errno: EAGAIN))
  }

  static func refusal(_ error: Int32) -> DocumentRootRefusal {
    switch error {
    case ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, ENXIO, ENODEV: .notFound
    case EACCES, EPERM: .forbidden
    case EMFILE, ENFILE, ENOMEM: .exhausted(errno: error)
    default: .failed(errno: error)
    }
  }
}
