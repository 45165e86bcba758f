import Glibc

/// Tells when something is mounted or unmounted: inotify tells nothing of a directory that something was mounted over.
final class MountEvents: Sendable {
  /// /proc/self/mountinfo, or -1 where there is no /proc: then only the sweeps find what a mount has changed.
  private let table: Int32

  init() {
    // The calling thread's, which in a process that has not unshared its namespace is everybody's.
    table = open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC)
  }

  deinit { if table >= 0 { close(table) } }

  /// Waits for a change of the mount table, or until there is something to read from another descriptor.
  ///
  /// - Returns: whether the mount table has changed since the last time (mounts_poll in fs/proc_namespace.c).
  func wait(alsoFor other: Int32, atMost_ms: Int32) -> Bool {
    var polled = [
      pollfd(fd: other, events: Int16(POLLIN), revents: 0), pollfd(fd: table, events: Int16(POLLPRI), revents: 0),
    ]
    guard poll(&polled, 2, atMost_ms) > 0 else { return false }
    return Int32(polled[1].revents) & POLLPRI != 0
  }
}
