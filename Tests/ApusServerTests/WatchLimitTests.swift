import CFileSystems
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// The kernel's limit of watches, reached in earnest: by a user of the test's own, so that nobody else feels it.
@Suite struct WatchLimitTests {
  /// Nobody's: the kernel counts watches for each effective user identity.
  private static let user: UInt32 = 0x7a70_7573

  /// All watches of the user but `left`, held by several inotify descriptors over the same directories.
  private final class UsedUpWatches {
    private var descriptors: [Int32] = []
    private(set) var count = 0

    init(limit: Int, directories: [String]) throws {
      let mask = UInt32(bitPattern: IN_DELETE_SELF)
      while true {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { throw FileSystemNamespace.Failed(call: "inotify_init1") }
        descriptors.append(descriptor)
        for directory in directories {
          if inotify_add_watch(descriptor, directory, mask) < 0 {
            guard errno == ENOSPC else { throw FileSystemNamespace.Failed(call: "inotify_add_watch") }
            return
          }
          count += 1
        }
      }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
  }

  @Test(.mounting) func beyondTheLimitNamesAreLookedAtInstead() throws {
    // A namespace is not needed, but a thread: its identity changes.
    try FileSystemNamespace.run {
      let require = FileSystemNamespace.require
      guard cfilesystems_set_effective_user(Self.user) == 0 else { throw FileSystemNamespace.Failed(call: "setresuid") }
      let machinery = try UntoldChangeTests.Machinery()
      let directory = machinery.directory
      let limit = try Self.limit()
      // 128 inotify descriptors a user has by default (fs.inotify.max_user_instances); one is the watcher's.
      let names = (0...limit / 100).map { "many/\($0)" }
      directory.makeDirectory("many")
      for name in names { directory.makeDirectory(name) }
      defer { for name in names { directory.remove(name) } }
      directory.makeDirectory("d")
      directory.write("d/f", "1")
      try machinery.run {
        var usedUp: UsedUpWatches? = try UsedUpWatches(limit: limit, directories: names.map { directory.url($0) })
        try require(usedUp!.count > limit / 2, "the limit is reached: \(usedUp!.count) of \(limit)")
        try require(machinery.learns("/d/f"), "stored without a watch")
        try require(machinery.watcher.watchCount == 0, "no directory could be watched")
        try require(machinery.store.nameCount(.revalidated) > 1, "every name on the way is looked at")
        directory.write("d/f", "2")
        try require(machinery.forgets("/d/f"), "a change is seen")
        try require(machinery.learns("/d/f"), "stored again")
        directory.rename("d", to: "e")
        try require(machinery.forgets("/d/f"), "a parent that is renamed is seen")
        directory.rename("e", to: "d")
        usedUp = nil
        try require(machinery.learns("/d/f"), "stored with watches")
        try require(machinery.watcher.watchCount > 0 && machinery.store.nameCount(.revalidated) == 0, "watched again")
      }
    }
  }

  private static func limit() throws -> Int {
    let file = fopen("/proc/sys/fs/inotify/max_user_watches", "re")
    defer { if let file { fclose(file) } }
    var text = [CChar](repeating: 0, count: 32)
    guard let file, fgets(&text, 32, file) != nil else { throw FileSystemNamespace.Failed(call: "max_user_watches") }
    return atol(text)
  }
}
