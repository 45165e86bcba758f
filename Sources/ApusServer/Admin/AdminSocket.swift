import Glibc

/// Where the admin socket is by default.
public enum AdminSocket {
  /// The path for a server that was given none: `/run/apus/admin.sock` if that directory can be made or written, else
  /// `$XDG_RUNTIME_DIR/apus/admin.sock`, else `apus-UID/admin.sock` in the temporary directory. Makes the directory
  /// (mode 0700). Throws `AdminFailure` if somebody else could put a socket there.
  public static func defaultPath() throws -> String { try AdminPlaces().pathForServer() }

  /// Where a server that was given no path, and that this user may talk to, has its socket. Throws `AdminFailure` if
  /// there is none.
  public static func pathOfRunningServer() throws -> String { try AdminPlaces().pathForClient() }
}

/// The directories that may hold the admin socket, best first.
struct AdminPlaces {
  static let socketName = "admin.sock"

  /// Only root can make entries in /run, so whoever owns this one was given it.
  var system = "/run/apus"
  var userRuntime: String?
  var temporary: String
  var user: uid_t

  init(user: uid_t = geteuid(), environment: (String) -> String? = Self.variable) {
    self.user = user
    // The XDG base directory specification: a relative path is invalid and to be ignored.
    if let directory = environment("XDG_RUNTIME_DIR"), directory.hasPrefix("/") { userRuntime = directory + "/apus" }
    let directory = environment("TMPDIR").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    temporary = "\(directory)/apus-\(user)"
  }

  static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  private var directories: [String] { [system] + (userRuntime.map { [$0] } ?? []) + [temporary] }

  func pathForServer() throws -> String {
    for directory in directories.dropLast() {
      if (try? prepare(directory)) != nil { return "\(directory)/\(Self.socketName)" }
    }
    try prepare(temporary)
    return "\(temporary)/\(Self.socketName)"
  }

  /// Makes the directory unless it is there, and makes sure that nobody else can put something into it.
  private func prepare(_ directory: String) throws {
    if mkdir(directory, 0o700) != 0, errno != EEXIST {
      throw AdminFailure("cannot make \(directory): \(String(cString: strerror(errno))); name a path with --admin")
    }
    guard isPrivate(directory, of: [user]) else {
      throw AdminFailure("\(directory) belongs to another user or is open to others; name a path with --admin")
    }
    guard faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 else {
      throw AdminFailure("\(directory) cannot be written; name a path with --admin")
    }
  }

  func pathForClient() throws -> String {
    let paths = directories.filter { $0 == system || isPrivate($0, of: [user, 0]) }.map { "\($0)/\(Self.socketName)" }
    for path in paths {
      var status = stat()
      if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { return path }
    }
    let all = directories.map { "\($0)/\(Self.socketName)" }.joined(separator: " or ")
    throw AdminFailure("no apus is running: no answer at \(all); name its admin socket with --admin")
  }

  /// Whether it is a directory, not a link to one, in which only one of the users can make entries.
  private func isPrivate(_ directory: String, of users: [uid_t]) -> Bool {
    var status = stat()
    guard lstat(directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return false }
    return users.contains(status.st_uid) && status.st_mode & (S_IWGRP | S_IWOTH) == 0
  }
}

/// A listening Unix stream socket with a name of its own in the file system, mode 0600.
struct AdminListener: Sendable {
  let path: String
  let descriptor: Descriptor
  /// The file that `bind` made, so that another one of the same name is left alone.
  private let file: FileIdentity

  private struct FileIdentity: Sendable, Equatable {
    var device: dev_t
    var inode: ino_t
  }

  /// Binds and listens. A socket file that nobody answers at is replaced; throws `AdminFailure` if somebody answers, or
  /// if the file is something else.
  init(path: String) throws {
    self.path = path
    // Between finding a file that nobody answers at and removing it no other daemon may have put its own there.
    let lock = try Self.lockDirectory(of: path)
    defer { withExtendedLifetime(lock) {} }
    try Self.removeStaleFile(path)

    let descriptor = try UnixSocket.make(nonBlocking: true)
    self.descriptor = descriptor
    // The new file gets the socket's own mode, cut by the umask (unix_bind_bsd in net/unix/af_unix.c): unlike a
    // changed umask that is nobody else's business, and unlike a chmod(2) afterwards it leaves no gap.
    guard fchmod(descriptor.number, 0o600) == 0 else { throw Self.failure(path) }
    guard try UnixSocket.withAddress(of: path, { bind(descriptor.number, $0, $1) }) == 0 else {
      throw Self.failure(path)
    }
    guard let file = Self.identity(of: path) else { throw Self.failure(path) }
    self.file = file
    guard listen(descriptor.number, AdminLimits.backlog) == 0 else {
      let failure = Self.failure(path)
      unlink(path)
      throw failure
    }
  }

  /// Removes the file, if it is still this socket's.
  func remove() {
    let lock = try? Self.lockDirectory(of: path)
    if Self.identity(of: path) == file { unlink(path) }
    withExtendedLifetime(lock) {}
  }

  private static func removeStaleFile(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw AdminFailure("\(path) is there already and is no socket; name another path with --admin")
    }
    let probe = try UnixSocket.make(nonBlocking: true)
    let result = try UnixSocket.withAddress(of: path) { connect(probe.number, $0, $1) }
    // EAGAIN: its backlog is full. Only ECONNREFUSED says that there is no listener.
    switch result == 0 ? 0 : errno {
    case 0, EAGAIN: throw AdminFailure("another apus uses \(path); name another path with --admin")
    case ECONNREFUSED:
      guard unlink(path) == 0 || errno == ENOENT else { throw failure(path) }
    case ENOENT: return
    default: throw failure(path)
    }
  }

  /// Locks the directory against other daemons, until the descriptor is closed.
  private static func lockDirectory(of path: String) throws -> Descriptor {
    let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let number = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw failure(path) }
    let descriptor = Descriptor(owning: number)
    // Others who may read the directory can lock it too, so there must be an end to waiting.
    for _ in 0..<AdminLimits.lockWait_ms / 10 {
      if flock(number, LOCK_EX | LOCK_NB) == 0 { return descriptor }
      usleep(10_000)
    }
    throw AdminFailure("cannot make the admin socket \(path): the directory is locked by another process")
  }

  private static func identity(of path: String) -> FileIdentity? {
    var status = stat()
    return lstat(path, &status) == 0 ? FileIdentity(device: status.st_dev, inode: status.st_ino) : nil
  }

  private static func failure(_ path: String) -> AdminFailure {
    AdminFailure("cannot make the admin socket \(path): \(String(cString: strerror(errno)))")
  }
}

/// unix(7).
enum UnixSocket {
  static func make(nonBlocking: Bool) throws -> Descriptor {
    let flags = Int32(SOCK_CLOEXEC.rawValue) | (nonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
    guard number >= 0 else { throw AdminFailure("socket: \(String(cString: strerror(errno)))") }
    return Descriptor(owning: number)
  }

  struct Pair: Sendable {
    var one: Descriptor
    var other: Descriptor
  }

  /// socketpair(2).
  static func makePair() throws -> Pair {
    var numbers: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &numbers) == 0 else {
      throw AdminFailure("socketpair: \(String(cString: strerror(errno)))")
    }
    return Pair(one: Descriptor(owning: numbers[0]), other: Descriptor(owning: numbers[1]))
  }

  /// Calls the body with the address of a path; throws `AdminFailure` if the path is too long for one.
  static func withAddress<Result>(
    of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) throws -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // The kernel would do without the final zero, other programs would not.
    let bytesMax = MemoryLayout.size(ofValue: address.sun_path) - 1
    guard !path.isEmpty, path.utf8.count <= bytesMax, !path.utf8.contains(0) else {
      throw AdminFailure("'\(path)' cannot be the path of a socket: it must have 1 to \(bytesMax) bytes")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}
