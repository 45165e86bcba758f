import Foundation

/// Removes what tests made (namespaces with everything that runs in them, directories) also when the test process
/// crashes or is killed: a shell that reads names from a pipe and acts when the pipe's other end is gone.
///
/// Names are unique and removing what is already gone does nothing, so nothing has to be taken off the list.
public final class Janitor: Sendable {
  public static let shared = Janitor()

  private static let script = """
    trap '' HUP INT TERM
    while read -r kind name; do list="$list $kind:$name"; done
    for entry in $list; do
      case $entry in
        netns:*)
          for pid in $(ip netns pids "${entry#netns:}" 2>/dev/null); do kill -9 "$pid"; done
          ip netns del "${entry#netns:}" 2>/dev/null ;;
        dir:*) rm -rf -- "${entry#dir:}" ;;
      esac
    done
    """

  /// The pipe's writing end. It stays open as long as this process lives and is not inherited by its children.
  private let descriptor: Int32

  private init() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { fatalError("pipe: \(String(cString: strerror(errno)))") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    descriptor = ends[1]
    do {
      _ = try spawn(
        ["sh", "-c", Self.script], environment: ProcessInfo.processInfo.environment,
        input: ends[0], output: nil, error: nil)
    } catch {
      fatalError("cannot start a shell: \(error)")
    }
    close(ends[0])
  }

  public func remember(namespace name: String) { write("netns \(name)\n") }

  /// - Parameter path: without white space.
  public func remember(directory path: String) { write("dir \(path)\n") }

  private func write(_ line: String) {
    let bytes = Array(line.utf8)
    // Shorter than PIPE_BUF, so written whole or not at all.
    precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count, "the janitor is gone")
  }
}
