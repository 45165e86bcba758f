import Glibc
import Synchronization

/// Tells whether a file has been left alone long enough that its next change must show in its times.
///
/// File times come from a clock that moves in ticks (before Linux 6.13, and on some file systems still): a change in
/// the tick of the last one leaves them equal. The change time decides; programs cannot set it.
final class QuietFiles: Sendable {
  private struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
  }
  private struct Observation {
    var metadata: FileMetadata
    var since_ns: Int
  }
  private let observations = Mutex<[Identity: Observation]>([:])

  /// Milliseconds to wait until the file can be called quiet; 0 where it is.
  func wait_ms(_ file: FileMetadata) -> Int {
    wait_ms(file, realtime_ns: Self.clock_ns(CLOCK_REALTIME), monotonic_ns: Self.clock_ns(CLOCK_MONOTONIC))
  }

  func wait_ms(_ file: FileMetadata, realtime_ns: Int, monotonic_ns: Int) -> Int {
    let quiet_ns = ServerLimits.quiet_ms * 1_000_000
    if file.changed_ns > realtime_ns {
      return waitUnseen_ms(file, monotonic_ns: monotonic_ns)
    }
    // A modification time in the future was set by a program and says nothing.
    let last_ns = file.modified_ns <= realtime_ns ? max(file.modified_ns, file.changed_ns) : file.changed_ns
    let left_ns = quiet_ns - (realtime_ns - last_ns)
    return left_ns <= 0 ? 0 : left_ns / 1_000_000 + 1
  }

  /// For a change time in the future: the clock was set back, or is not the one the file system uses. The age of the
  /// change is unknown, so the file is quiet once it has been seen unchanged for that long.
  private func waitUnseen_ms(_ file: FileMetadata, monotonic_ns: Int) -> Int {
    let identity = Identity(device: file.device, inode: file.inode)
    return observations.withLock { observations in
      if let seen = observations[identity], seen.metadata == file {
        let left_ns = ServerLimits.quiet_ms * 1_000_000 - (monotonic_ns - seen.since_ns)
        return left_ns <= 0 ? 0 : left_ns / 1_000_000 + 1
      }
      if observations.count >= ServerLimits.unquietFilesMax { observations.removeAll() }
      observations[identity] = Observation(metadata: file, since_ns: monotonic_ns)
      return ServerLimits.quiet_ms
    }
  }

  static func clock_ns(_ clock: clockid_t) -> Int {
    var now = timespec()
    clock_gettime(clock, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
  }
}
