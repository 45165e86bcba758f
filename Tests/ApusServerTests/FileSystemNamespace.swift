import CFileSystems
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// A thread with a mount namespace of its own: what a test mounts there nobody else sees, and it goes with the thread.
enum FileSystemNamespace {
  struct Failed: Error, CustomStringConvertible { let description: String }

  /// Runs a closure there, and rethrows what it throws. Threads it starts are in the namespace too.
  static func run(_ body: @escaping @Sendable () throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    let thread = DedicatedThread(name: "test-namespace") {
      do {
        guard unshare(Int32(cfilesystems_new_mount_namespace)) == 0 else { throw Failed(call: "unshare") }
        guard CFileSystems.mount("none", "/", nil, cfilesystems_private, nil) == 0 else {
          throw Failed(call: "mount /")
        }
        try body()
      } catch {
        failure.withLock { $0 = error }
      }
    }
    thread.join()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  static func mount(_ type: String, at path: String, options: String = "") throws {
    guard CFileSystems.mount(type, path, type, 0, options) == 0 else { throw Failed(call: "mount \(type) at \(path)") }
  }

  static func bind(_ source: String, at path: String) throws {
    guard CFileSystems.mount(source, path, nil, UInt(MS_BIND), nil) == 0 else {
      throw Failed(call: "bind \(path)")
    }
  }

  static func unmount(_ path: String) throws {
    guard umount2(path, Int32(MNT_DETACH)) == 0 else { throw Failed(call: "umount \(path)") }
  }

  /// For a thread outside of the test's task, where an expectation would not know whose it is.
  static func require(_ holds: Bool, _ what: String) throws {
    if !holds { throw Failed(description: what) }
  }
}

extension FileSystemNamespace.Failed {
  init(call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}

extension Trait where Self == ConditionTrait {
  /// For tests that mount file systems. Without root they are skipped, and a line says so; with CI=true that fails.
  static var mounting: Self {
    .enabled {
      if geteuid() == 0 { return true }
      print("skipped: only root can mount file systems")
      if getenv("CI").map({ String(cString: $0) }) == "true" {
        throw FileSystemNamespace.Failed(description: "only root can mount file systems")
      }
      return false
    }
  }
}
