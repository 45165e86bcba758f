import Glibc

/// An inotify(7) descriptor that watches directories.
struct Inotify: ~Copyable {
  struct Event {
    var watch: Int32
    var mask: UInt32
    /// The name in the directory; empty: the directory itself.
    var name: String

    func has(_ flags: Int32) -> Bool { mask & UInt32(bitPattern: flags) != 0 }

    /// The queue was full and events are lost.
    var isOverflow: Bool { has(IN_Q_OVERFLOW) }
    /// The directory is gone from where it was.
    var isOfDirectory: Bool { name.isEmpty || has(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) }
    /// The watch no longer tells about the path it was made for.
    var endsWatch: Bool { has(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) }
  }

  /// What can make an answer doubtful: content, attributes (mode, owner, times), names, the directory itself.
  static let mask: UInt32 = {
    let events =
      IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF
      | IN_MOVE_SELF | IN_UNMOUNT
    return UInt32(bitPattern: events | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)
  }()

  let descriptor: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

  init() throws(WatchError) {
    descriptor = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    if descriptor < 0 { throw .system(call: "inotify_init1", path: "", errno: errno) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    buffer.deallocate()
  }

  /// inotify_add_watch(2): watches the directory that has this path now; `nil` when the user has as many watches as
  /// `fs.inotify.max_user_watches` allows.
  func add(directory: String) throws(WatchError) -> Int32? {
    let watch = inotify_add_watch(descriptor, directory, Self.mask)
    if watch >= 0 { return watch }
    if errno == ENOSPC { return nil }
    throw .system(call: "inotify_add_watch", path: directory, errno: errno)
  }

  /// Hands over all events that were in the queue when it was called. Those that come meanwhile may be left for
  /// the next time, so that a storm of events cannot keep it for ever.
  func drain(_ body: (Event) -> Void) throws(WatchError) {
    var waiting: Int32 = 0
    if ioctl(descriptor, UInt(FIONREAD), &waiting) != 0 { throw .system(call: "ioctl", path: "", errno: errno) }
    while waiting > 0 {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        throw .system(call: "read", path: "", errno: errno)
      }
      waiting -= Int32(count)
      parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]), body)
    }
  }

  /// The events of one read(2): struct inotify_event, then `len` bytes of name, filled up with zeros.
  private func parse(_ bytes: UnsafeRawBufferPointer, _ body: (Event) -> Void) {
    let headerLength = MemoryLayout<inotify_event>.size
    var offset = 0
    while offset + headerLength <= bytes.count {
      let header = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
      let name = bytes[(offset + headerLength)..<(offset + headerLength + Int(header.len))].prefix { $0 != 0 }
      body(Event(watch: header.wd, mask: header.mask, name: String(decoding: name, as: UTF8.self)))
      offset += headerLength + Int(header.len)
    }
  }
}

/// Why a name cannot be watched.
enum WatchError: Error, Equatable {
  /// Nothing tells of changes in the file system, not even the times of its files.
  case untoldChanges(directory: String)
  /// Nothing but looking again tells of changes here, and more names than there are cannot be looked at in time.
  case tooManyLooks(directory: String)
  case system(call: String, path: String, errno: Int32)
}
