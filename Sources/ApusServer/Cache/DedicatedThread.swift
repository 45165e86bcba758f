import Dispatch
import Glibc

/// A thread of its own for one task that blocks: it must neither wait for others of a pool nor keep them waiting.
final class DedicatedThread: Sendable {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  private let thread: pthread_t
  private let ended = DispatchSemaphore(value: 0)

  /// - Parameter name: at most 15 bytes (TASK_COMM_LEN); what `top -H` shows.
  init(name: String, _ body: @escaping @Sendable () -> Void) {
    precondition(name.utf8.count < 16)
    let argument = Unmanaged.passRetained(
      Body { [ended] in
        Self.setName(name)
        body()
        ended.signal()
      }
    ).toOpaque()
    var thread = pthread_t()
    let error = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, argument)
    // EAGAIN: no more threads; the daemon cannot work without this one.
    precondition(error == 0, "pthread_create: \(String(cString: strerror(error)))")
    self.thread = thread
  }

  /// Names the calling thread (proc_pid_comm(5)); without /proc it stays without a name of its own.
  private static func setName(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = write(file, name, name.utf8.count)
    close(file)
  }

  /// Waits for the end of the body; to be called once.
  func join() { pthread_join(thread, nil) }

  /// Waits for the end of the body, but no longer than that: a system call of it may hang. Instead of `join`.
  func join(atMost_ms: Int) {
    if ended.wait(timeout: .now() + .milliseconds(atMost_ms)) == .success {
      pthread_join(thread, nil)
    } else {
      pthread_detach(thread)
    }
  }
}
