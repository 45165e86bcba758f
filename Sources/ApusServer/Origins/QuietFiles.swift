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

  /// What a file is to be told quiet by: two clocks, and whether the first is the one its times come from.
  struct Clocks {
    var realtime_ns = QuietFiles.clock_ns(CLOCK_REALTIME)
    var monotonic_ns = QuietFiles.clock_ns(CLOCK_MONOTONIC)
    var isFilesOwn = true
  }

  /// To be called behind reading the file: returns if what was read is sure to be told from what comes next.
  ///
  /// - Throws: `OriginRefusal.notQuiet` for a file that was changed moments ago, or that somebody can write to through
  ///   a mapping without its times telling it.
  func require(_ file: FileMetadata, of descriptor: Int32) throws(OriginRefusal) {
    // Times of a remote file are its server's, whose clock may be another.
    let clocks = Clocks(isFilesOwn: FileSystemKind(descriptor: descriptor) != .remote)
    let wait_ms = wait_ms(file, clocks)
    if wait_ms > 0 { throw .notQuiet(retryAfter_ms: wait_ms) }
    if WriteAccess.exists(descriptor: descriptor) { throw .notQuiet(retryAfter_ms: ServerLimits.quiet_ms) }
  }

  /// Milliseconds to wait until the file can be called quiet; 0 where it is.
  func wait_ms(_ file: FileMetadata, _ clocks: Clocks = Clocks()) -> Int {
    let quiet_ms = Self.isCoarse(file) ? ServerLimits.quietCoarse_ms : ServerLimits.quiet_ms
    if !clocks.isFilesOwn || file.changed_ns > clocks.realtime_ns {
      return waitUnseen_ms(file, quiet_ms, clocks)
    }
    // A modification time in the future was set by a program and says nothing.
    let isModified = file.modified_ns <= clocks.realtime_ns
    let last_ns = isModified ? max(file.modified_ns, file.changed_ns) : file.changed_ns
    return Self.left_ms(quiet_ms, since_ns: last_ns, now_ns: clocks.realtime_ns)
  }

  /// A change time without a fraction: the file system may know no fractions, or only even seconds.
  private static func isCoarse(_ file: FileMetadata) -> Bool { file.changed_ns % 1_000_000_000 == 0 }

  /// Whether the next edit must change the times, so that they can make an entity tag: not where they are of whole
  /// seconds and the second is not over.
  func hasTellingTimes(_ file: FileMetadata) -> Bool { !Self.isCoarse(file) || wait_ms(file) == 0 }

  private static func left_ms(_ quiet_ms: Int, since_ns: Int, now_ns: Int) -> Int {
    let left_ns = quiet_ms * 1_000_000 - (now_ns - since_ns)
    return left_ns <= 0 ? 0 : left_ns / 1_000_000 + 1
  }

  /// For a change time that cannot be held against the clock: it is in the future, because the clock was set back, or
  /// it is of another clock. The age of the change is unknown, so the file is quiet once it has been seen unchanged
  /// for that long.
  private func waitUnseen_ms(_ file: FileMetadata, _ quiet_ms: Int, _ clocks: Clocks) -> Int {
    let identity = Identity(device: file.device, inode: file.inode)
    return observations.withLock { observations in
      if let seen = observations[identity], seen.metadata == file {
        return Self.left_ms(quiet_ms, since_ns: seen.since_ns, now_ns: clocks.monotonic_ns)
      }
      if observations.count >= ServerLimits.unquietFilesMax { observations.removeAll() }
      observations[identity] = Observation(metadata: file, since_ns: clocks.monotonic_ns)
      return quiet_ms
    }
  }

  static func clock_ns(_ clock: clockid_t) -> Int {
    var now = timespec()
    clock_gettime(clock, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
  }
}
