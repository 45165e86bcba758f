import CFileSystems
import Glibc
import Synchronization

@testable import ApusServer

/// A file system of one file, `f`, served by a thread of the test over /dev/fuse: it changes without this kernel doing
/// anything, as on a network file system; reading can fail, and everything can hang.
final class FuseFile: Sendable {
  enum Behaviour { case well, readFails, hangs }

  private struct State {
    var content: [UInt8]
    /// Version of the file: seconds of its times, and its inode number.
    var version: UInt64 = 1
    var behaviour = Behaviour.well
    var isOver = false
  }
  private let state: Mutex<State>
  private let device: Int32
  private let thread = Mutex<DedicatedThread?>(nil)
  private static let rootInode: UInt64 = 1
  private static let fileInode: UInt64 = 2

  /// Mounts it at a directory; to be called in a namespace of the test's own.
  init(at path: String, _ content: String) throws {
    state = Mutex(State(content: Array(content.utf8)))
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC)
    guard device >= 0 else { throw FileSystemNamespace.Failed(call: "open /dev/fuse") }
    try FileSystemNamespace.mount(
      "fuse", at: path, options: "fd=\(device),rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions")
    thread.withLock { $0 = DedicatedThread(name: "test-fuse") { self.serve() } }
  }

  /// Ends the file system: what waits for it fails.
  func end() {
    state.withLock { $0.isOver = true }
    thread.withLock { $0 }?.join()
    close(device)
  }

  /// Changes the file behind the kernel's back.
  func change(_ content: String) {
    state.withLock {
      $0.content = Array(content.utf8)
      $0.version += 1
    }
  }

  func behave(_ behaviour: Behaviour) { state.withLock { $0.behaviour = behaviour } }

  // MARK: The protocol (include/uapi/linux/fuse.h)

  private func serve() {
    let size = 1 << 17
    let request = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { request.deallocate() }
    while !state.withLock({ $0.isOver }) {
      if state.withLock({ $0.behaviour == .hangs }) {
        usleep(5000)
        continue
      }
      var waiting = pollfd(fd: device, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, 20) > 0 else { continue }
      let count = read(device, request, size)
      // ENOENT: whoever asked no longer waits. ENODEV: unmounted.
      if count < 0 { if errno == ENODEV { return } else { continue } }
      answer(request.load(as: fuse_in_header.self), request + MemoryLayout<fuse_in_header>.size)
    }
  }

  private func answer(_ header: fuse_in_header, _ body: UnsafeMutableRawPointer) {
    let (content, version, behaviour) = state.withLock { ($0.content, $0.version, $0.behaviour) }
    switch fuse_opcode(header.opcode) {
    case FUSE_INIT: reply(header, initialization(body.load(as: fuse_init_in.self)))
    case FUSE_LOOKUP where String(cString: body.assumingMemoryBound(to: CChar.self)) == "f":
      var entry = fuse_entry_out()
      entry.nodeid = Self.fileInode
      entry.attr = attributes(of: Self.fileInode, content, version)
      // The kernel keeps names and attributes for an hour, as a network file system keeps them for some seconds:
      // only a look that insists gets the new ones.
      entry.entry_valid = 3600
      entry.attr_valid = 3600
      reply(header, entry)
    case FUSE_GETATTR:
      var out = fuse_attr_out()
      out.attr = attributes(of: header.nodeid, content, version)
      out.attr_valid = 3600
      reply(header, out)
    case FUSE_OPEN: reply(header, fuse_open_out())
    case FUSE_READ where behaviour == .readFails: fail(header, EIO)
    case FUSE_READ:
      let read = body.load(as: fuse_read_in.self)
      let start = min(Int(read.offset), content.count)
      send(header, Array(content[start..<min(content.count, start + Int(read.size))]))
    case FUSE_STATFS: reply(header, fuse_statfs_out())
    case FUSE_RELEASE, FUSE_FLUSH: fail(header, 0)
    case FUSE_FORGET, FUSE_BATCH_FORGET: break
    case FUSE_LOOKUP: fail(header, ENOENT)
    default: fail(header, ENOSYS)
    }
  }

  private func initialization(_ asked: fuse_init_in) -> fuse_init_out {
    var out = fuse_init_out()
    out.major = UInt32(FUSE_KERNEL_VERSION)
    out.minor = min(asked.minor, UInt32(FUSE_KERNEL_MINOR_VERSION))
    out.max_readahead = asked.max_readahead
    out.max_write = 4096
    return out
  }

  private func attributes(of inode: UInt64, _ content: [UInt8], _ version: UInt64) -> fuse_attr {
    var attributes = fuse_attr()
    attributes.ino = inode
    attributes.mode = inode == Self.rootInode ? S_IFDIR | 0o755 : S_IFREG | 0o644
    attributes.nlink = 1
    attributes.size = inode == Self.rootInode ? 0 : UInt64(content.count)
    attributes.mtime = 1_000_000_000 + version
    attributes.ctime = 1_000_000_000 + version
    attributes.ctimensec = 1
    return attributes
  }

  private func reply<Out>(_ header: fuse_in_header, _ out: Out) {
    send(header, withUnsafeBytes(of: out) { Array($0) })
  }

  private func send(_ header: fuse_in_header, _ bytes: [UInt8]) { write(header, error: 0, bytes) }
  private func fail(_ header: fuse_in_header, _ error: Int32) { write(header, error: -error, []) }

  private func write(_ header: fuse_in_header, error: Int32, _ bytes: [UInt8]) {
    var out = fuse_out_header()
    out.len = UInt32(MemoryLayout<fuse_out_header>.size + bytes.count)
    out.error = error
    out.unique = header.unique
    let message = withUnsafeBytes(of: out) { Array($0) } + bytes
    _ = Glibc.write(device, message, message.count)
  }
}
