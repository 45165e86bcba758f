import Glibc

/// The file, pipe or terminal an access log goes to. What is written is whole lines: where a line could be written in
/// part only, its rest comes before anything else.
struct AccessLogFile: ~Copyable {
  /// What became of a batch.
  struct Outcome: Equatable {
    /// Lines that are lost.
    var linesLost = 0
    /// `errno` of what went wrong, if something did.
    var error: Int32?
  }

  let path: String
  private var descriptor: Int32
  private var isRegular: Bool
  /// The end of a line whose beginning has been written.
  private var rest: [UInt8] = []

  /// A pipe takes so much at once or nothing (pipe(7)): then a write does not block once poll(2) has promised room.
  private static let pipeBytes = 4096
  /// How long a pipe or terminal may take nothing before lines are given up.
  private static let stall_ms: Int32 = 100

  /// - Parameter path: opened for appending, and made where it is not; `-` is standard output.
  init(path: String) throws(ServeFailure) {
    self.path = path
    let descriptor = path == "-" ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : Self.open(path)
    guard descriptor >= 0 else {
      // As fifo(7) has it.
      let reason = errno == ENXIO ? "nobody reads from it" : String(cString: strerror(errno))
      throw ServeFailure("cannot open the access log \(path): \(reason)")
    }
    self.descriptor = descriptor
    isRegular = Self.isRegular(descriptor)
  }

  deinit { close(descriptor) }

  private static func open(_ path: String) -> Int32 {
    // O_NONBLOCK is for FIFOs and terminals: regular files know nothing of it. Addresses of people are in the log: it
    // is not for everybody.
    Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o640)
  }

  private static func isRegular(_ descriptor: Int32) -> Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Opens the path anew: what was there may have been moved away. On failure everything stays as it was.
  mutating func reopen() throws(ServeFailure) -> Outcome {
    guard path != "-" else { return Outcome() }
    let new = Self.open(path)
    guard new >= 0 else {
      throw ServeFailure("cannot reopen the access log \(path): \(String(cString: strerror(errno)))")
    }
    // A line belongs into one file.
    var outcome = Outcome()
    if !writeRest(&outcome) { outcome.linesLost += 1 }
    rest = []
    close(descriptor)
    descriptor = new
    isRegular = Self.isRegular(new)
    return outcome
  }

  /// Whether the last line is still to be ended.
  var isTorn: Bool { !rest.isEmpty }

  /// Writes whole lines, with one call if it takes them all. What it does not take is lost: lines must not pile up in
  /// memory while a disk is full.
  mutating func write(_ lines: UnsafeRawBufferPointer) -> Outcome {
    var outcome = Outcome()
    let end = writeRest(&outcome) ? write(lines, &outcome) : 0
    guard end < lines.count else { return outcome }
    var unwritten = lines[end...]
    if end > 0, lines[end - 1] != 0x0a, let feed = unwritten.firstIndex(of: 0x0a) {
      rest = Array(unwritten[...feed])
      unwritten = unwritten[(feed + 1)...]
    }
    outcome.linesLost += unwritten.count { $0 == 0x0a }
    return outcome
  }

  private mutating func writeRest(_ outcome: inout Outcome) -> Bool {
    if rest.isEmpty { return true }
    let end = rest.withUnsafeBytes { write($0, &outcome) }
    rest.removeFirst(end)
    return rest.isEmpty
  }

  /// Returns how many bytes have been written.
  private func write(_ bytes: UnsafeRawBufferPointer, _ outcome: inout Outcome) -> Int {
    var position = 0
    while position < bytes.count {
      if !isRegular, !isWritable {
        outcome.error = EAGAIN
        break
      }
      let count = isRegular ? bytes.count - position : min(bytes.count - position, Self.pipeBytes)
      let written = Glibc.write(descriptor, bytes.baseAddress! + position, count)
      if written > 0 {
        position += written
      } else if errno != EINTR, isRegular || errno != EAGAIN {
        outcome.error = errno
        break
      }
    }
    return position
  }

  private var isWritable: Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&request, 1, Self.stall_ms) > 0
  }
}
