import Glibc
import Logging
import Synchronization

/// Keeps the store true: watches the directories its objects depend on, and removes what becomes doubtful.
///
/// Events of inotify tell at once. What they leave out is found by looking at the names again (`Sweep`): writes through a
/// mapping, hard links, file systems that others change, mounts. One thread drains the events, sees that the looks are
/// on time, and then calls `heartbeat`: a fresh heartbeat says that every change of which an event told up to the time
/// it gives has reached the store, and that nothing is stored that only looks keep true and that was not looked at.
///
/// Locks: that of the tables here is taken before the store's, never after. A dependency is noted in the store
/// *before* its directory is watched, and a watch is removed only if the store, asked under the lock, has no
/// dependency on the directory: so no event of a watch that someone counts on finds the store without the dependency.
final class ChangeWatcher: Sendable {
  enum Settings {
    /// The longest time between two heartbeats of a watcher that runs.
    static let wait_ms: Int32 = 100
    /// How often watches nothing depends on any more are removed.
    static let tidying_ns: UInt64 = 1_000_000_000
    /// How old the looks may be at names that only looks keep true. With the time between two heartbeats this is less
    /// than the second in which a change must be seen.
    static let looksAge_ns: UInt64 = 800_000_000
  }

  /// inotify gives one descriptor to all paths of a directory; a path may lead to another directory later.
  private struct Tables: ~Copyable {
    let inotify: Inotify
    var watches: [String: Int32] = [:]
    var directories: [Int32: Set<String>] = [:]

    /// The directory's path no longer belongs to the watch it has.
    mutating func forget(_ directory: String) {
      guard let watch = watches.removeValue(forKey: directory) else { return }
      directories[watch]?.remove(directory)
      if directories[watch]?.isEmpty == true {
        directories.removeValue(forKey: watch)
        // EINVAL when the kernel has removed it already. Events of it still in the queue find no directory here,
        // and its number does not come back (the kernel counts them up, idr_alloc_cyclic in inotify_user.c).
        inotify_rm_watch(inotify.descriptor, watch)
      }
    }
  }

  private let store: ObjectStore
  private let heartbeat: @Sendable (_ drained_ns: UInt64) -> Void
  private let tables: Mutex<Tables>
  /// The draining thread's way to the descriptor without the lock: it lives as long as the tables.
  private let reader: Int32
  private let mounts = MountEvents()
  private let watchedNames: Sweep
  private let revalidatedNames: Sweep
  private let logger: Logger
  private let stopping = Atomic<Bool>(false)
  private let thread = Mutex<DedicatedThread?>(nil)

  /// - Parameter heartbeat: called by the watcher's thread at least every `Settings.wait_ms`, each time after draining
  ///   all events up to the given CLOCK_MONOTONIC time.
  init(
    store: ObjectStore, logger: Logger = Logger(label: "apus.watcher"),
    heartbeat: @escaping @Sendable (_ drained_ns: UInt64) -> Void
  ) throws(WatchError) {
    self.store = store
    self.logger = logger
    self.heartbeat = heartbeat
    let inotify = try Inotify()
    reader = inotify.descriptor
    tables = Mutex(Tables(inotify: inotify))
    watchedNames = Sweep(.watched, of: store)
    revalidatedNames = Sweep(.revalidated, of: store)
  }

  /// Starts the threads. They keep the watcher alive until `stop`.
  func start() {
    watchedNames.start()
    revalidatedNames.start()
    thread.withLock { thread in
      precondition(thread == nil, "a watcher is started once")
      thread = DedicatedThread(name: "apus-watch") { self.run() }
    }
  }

  /// Ends the threads and with them the heartbeats; returns when the last one was written.
  func stop() {
    stopping.store(true, ordering: .releasing)
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
    watchedNames.stop()
    revalidatedNames.stop()
  }

  // MARK: Watching

  /// Makes the object of the ticket depend on the name; from now on no change of it goes unseen.
  ///
  /// The file system is asked outside of the lock: a remote one may let the caller wait for ever.
  ///
  /// - Throws: `WatchError`; the object must not be stored then.
  func watch(_ dependency: NameDependency, for ticket: FillTicket) throws(WatchError) {
    store.depend(ticket, on: dependency)
    let directory = dependency.directory
    guard let kind = FileSystemKind(path: directory) else {
      throw .system(call: "statfs", path: directory, errno: errno)
    }
    if kind == .synthetic { throw .untoldChanges(directory: directory) }
    // A remote one may let inotify_add_watch(2) wait, too, and with it the thread that drains.
    let isWatched = kind == .remote ? false : try watch(directory: directory)
    // Before the caller looks the name up: what it finds is this or newer, and the next sweep sees what is newer.
    var coverage = kind == .local && isWatched ? NameCoverage.watched : .revalidated
    let sighting = NameSighting.look(at: dependency, coverage)
    if sighting.hasOtherNames { coverage = .revalidated }
    if coverage == .revalidated {
      guard !areLooksLate(at: MonotonicClock.now_ns()),
        store.nameCount(.revalidated) < revalidatedNames.capacity
      else { throw .tooManyLooks(directory: directory) }
    }
    store.see(dependency, sighting, coverage)
  }

  /// Returns whether inotify tells of changes in the directory from now on: not beyond the limit of watches.
  private func watch(directory: String) throws(WatchError) -> Bool {
    try tables.withLock { tables throws(WatchError) in
      let known = tables.watches[directory]
      // Also when it is known: the path may lead to another directory than it did, with the event still unread.
      guard let watch = try add(directory, &tables) else { return false }
      if known == watch { return true }
      if known != nil {
        tables.forget(directory)
        store.invalidate(directory: directory, name: nil)
      }
      tables.watches[directory] = watch
      tables.directories[watch, default: []].insert(directory)
      return true
    }
  }

  private func add(_ directory: String, _ tables: inout Tables) throws(WatchError) -> Int32? {
    if let watch = try tables.inotify.add(directory: directory) { return watch }
    removeUnusedWatches(&tables)
    return try tables.inotify.add(directory: directory)
  }

  /// Removes the watches nothing depends on.
  private func removeUnusedWatches(_ tables: inout Tables) {
    for directory in store.takeUnusedDirectories() where !store.isUsed(directory: directory) {
      tables.forget(directory)
    }
  }

  /// Directories watched now.
  var watchCount: Int { tables.withLock { $0.watches.count } }

  // MARK: Draining

  private func run() {
    var tidied_ns = MonotonicClock.now_ns()
    var mounted_ns: UInt64?
    while !stopping.load(ordering: .acquiring) {
      let isMounted = mounts.wait(alsoFor: reader, atMost_ms: Settings.wait_ms)
      let drained_ns = MonotonicClock.now_ns()
      if isMounted {
        mounted_ns = drained_ns
        watchedNames.hurry()
        revalidatedNames.hurry()
      }
      do {
        try drain()
      } catch {
        // Changes can no longer be seen. Without a heartbeat the kernel part stops answering by itself.
        store.removeAll()
        logger.error("file changes can no longer be seen", metadata: ["error": "\(error)"])
        return
      }
      removeUnlooked(at: drained_ns, &mounted_ns)
      heartbeat(drained_ns)
      if drained_ns - tidied_ns >= Settings.tidying_ns {
        tables.withLock { removeUnusedWatches(&$0) }
        tidied_ns = drained_ns
      }
    }
  }

  /// Whether the names that only looks keep true have not been looked at for too long.
  private func areLooksLate(at now_ns: UInt64) -> Bool {
    revalidatedNames.completeSince_ns + Settings.looksAge_ns < now_ns
  }

  /// Removes what was not looked at in time.
  ///
  /// - Parameter mounted_ns: when the mount table changed, until everything has been looked at since.
  private func removeUnlooked(at now_ns: UInt64, _ mounted_ns: inout UInt64?) {
    if areLooksLate(at: now_ns), store.removeRevalidated() > 0 {
      logger.notice("files that others can change could not be looked at in time: they are no longer stored")
    }
    guard let changed_ns = mounted_ns else { return }
    if watchedNames.completeSince_ns > changed_ns {
      mounted_ns = nil
    } else if changed_ns + Settings.looksAge_ns < now_ns {
      logger.notice("the files could not be looked at in time after a mount: the cache starts afresh")
      store.removeAll()
      mounted_ns = nil
    }
  }

  /// Takes all events that are waiting and removes what they make doubtful.
  func drain() throws(WatchError) {
    try tables.withLock { tables throws(WatchError) in
      var events: [Inotify.Event] = []
      try tables.inotify.drain { events.append($0) }
      for event in events { handle(event, &tables) }
    }
  }

  private func handle(_ event: Inotify.Event, _ tables: inout Tables) {
    if event.isOverflow {
      logger.notice("too many file changes at once: the cache starts afresh")
      store.removeAll()
      return
    }
    for directory in tables.directories[event.watch] ?? [] {
      store.invalidate(directory: directory, name: event.isOfDirectory ? nil : event.name)
      if event.endsWatch { tables.forget(directory) }
    }
  }
}
