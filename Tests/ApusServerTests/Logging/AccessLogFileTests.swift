import Glibc
import Testing

@testable import ApusServer

/// Where the access log goes: files, full disks, pipes nobody reads from.
@Suite struct AccessLogFileTests {
  private static func lines(_ numbers: Range<Int>) -> [UInt8] {
    numbers.flatMap { Array("line \($0) \(String(repeating: "x", count: $0 % 90))\n".utf8) }
  }

  private static func read(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TemporaryDirectory.Failure(call: "open \(path)") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count <= 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  @Test func `lines are appended to what is there`() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("log", "before\n")
    var file = try AccessLogFile(path: path)
    #expect(file.write(Self.lines(0..<100)) == AccessLogFile.Outcome())
    #expect(file.write(Self.lines(100..<200)) == AccessLogFile.Outcome())
    #expect(try Self.read(path) == Array("before\n".utf8) + Self.lines(0..<200))
    var status = stat()
    // Addresses of people: a new log is not for everybody.
    let fresh = try AccessLogFile(path: directory.path + "/fresh")
    #expect(fresh.path == directory.path + "/fresh" && stat(fresh.path, &status) == 0 && status.st_mode & 0o137 == 0)
  }

  @Test func `opened anew, lines go to the new file, and every line into one of both`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/log"
    var file = try AccessLogFile(path: path)
    _ = file.write(Self.lines(0..<10))
    try directory.move("log", to: "log.1")
    _ = file.write(Self.lines(10..<20))
    #expect(try file.reopen() == AccessLogFile.Outcome())
    _ = file.write(Self.lines(20..<30))
    #expect(try Self.read(path + ".1") == Self.lines(0..<20))
    #expect(try Self.read(path) == Self.lines(20..<30))
  }

  @Test func `where it cannot be opened anew the old one is kept`() throws {
    let directory = try TemporaryDirectory()
    try directory.makeDirectory("logs")
    let path = directory.path + "/logs/log"
    var file = try AccessLogFile(path: path)
    try directory.move("logs", to: "moved")
    var message = ""
    do throws(ServeFailure) { _ = try file.reopen() } catch { message = "\(error)" }
    #expect(message == "cannot reopen the access log \(path): No such file or directory")
    #expect(file.write(Self.lines(0..<5)) == AccessLogFile.Outcome())
    #expect(try Self.read(directory.path + "/moved/log") == Self.lines(0..<5))
  }

  @Test func `what cannot be opened is said`() throws {
    let directory = try TemporaryDirectory()
    for (path, reason) in [
      (directory.path, "Is a directory"), (directory.path + "/none/log", "No such file or directory"),
    ] {
      var message = ""
      do throws(ServeFailure) { _ = try AccessLogFile(path: path) } catch { message = "\(error)" }
      #expect(message == "cannot open the access log \(path): \(reason)")
    }
  }

  @Test func `a device that is always full loses lines, and counts them`() throws {
    var file = try AccessLogFile(path: "/dev/full")
    #expect(file.write(Self.lines(0..<7)) == AccessLogFile.Outcome(linesLost: 7, error: ENOSPC))
    let isTorn = file.isTorn
    #expect(!isTorn)
  }

  @Test(.mounting) func `a full disk loses whole lines; the torn one is ended before any other when there is room`()
    throws
  {
    try FileSystemNamespace.run {
      let directory = try TemporaryDirectory()
      try directory.makeDirectory("disk")
      let disk = directory.path + "/disk"
      try FileSystemNamespace.mount("tmpfs", at: disk, options: "size=64k")
      try directory.write("disk/ballast", [UInt8](repeating: 0, count: 32_768))
      var file = try AccessLogFile(path: disk + "/log")
      var lost = 0
      var failures = 0
      for batch in 0..<10 {
        let outcome = file.write(Self.lines(batch * 200..<(batch + 1) * 200))
        lost += outcome.linesLost
        if outcome.error == ENOSPC { failures += 1 }
      }
      try FileSystemNamespace.require(failures >= 5 && lost > 1000, "\(failures) failures, \(lost) lines lost")
      try FileSystemNamespace.require(file.isTorn, "the disk was full at the end of a line")
      try FileSystemNamespace.require(truncate(disk + "/ballast", 0) == 0, "truncate")
      let outcome = file.write(Self.lines(2000..<2010))
      try FileSystemNamespace.require(outcome == AccessLogFile.Outcome(), "\(outcome)")
      let text = String(decoding: try Self.read(disk + "/log"), as: UTF8.self)
      let found = text.split(separator: "\n").map(String.init)
      let whole = Set(String(decoding: Self.lines(0..<2010), as: UTF8.self).split(separator: "\n").map(String.init))
      try FileSystemNamespace.require(found.allSatisfy { whole.contains($0) }, "a line is not whole")
      try FileSystemNamespace.require(found.count + lost == 2010, "\(found.count) lines, \(lost) lost")
      try FileSystemNamespace.require(text.hasSuffix("\n"), "the last line is not ended")
      try FileSystemNamespace.unmount(disk)
    }
  }

  @Test func `a pipe gets whole lines, and one nobody empties holds nobody up`() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/pipe"
    #expect(mkfifo(path, 0o600) == 0)
    var message = ""
    do throws(ServeFailure) { _ = try AccessLogFile(path: path) } catch { message = "\(error)" }
    #expect(message == "cannot open the access log \(path): nobody reads from it")
    let reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    defer { close(reader) }
    var file = try AccessLogFile(path: path)
    let many = Self.lines(0..<4000)
    let start = MonotonicClock.now_ns()
    let outcome = file.write(many)
    #expect(MonotonicClock.now_ns() - start < 5_000_000_000)
    #expect(outcome.error == EAGAIN && outcome.linesLost > 100)
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    func drain() {
      while true {
        let count = Glibc.read(reader, &buffer, buffer.count)
        if count <= 0 { return }
        received += buffer[..<count]
      }
    }
    drain()
    #expect(file.write(Self.lines(5000..<5001)) == AccessLogFile.Outcome())
    drain()
    let text = String(decoding: received, as: UTF8.self)
    #expect(text.hasSuffix(String(decoding: Self.lines(5000..<5001), as: UTF8.self)))
    #expect(text.split(separator: "\n").count + outcome.linesLost == 4001)
  }
}

extension AccessLogFile {
  fileprivate mutating func write(_ lines: [UInt8]) -> Outcome { lines.withUnsafeBytes { write($0) } }
}

extension LogText {
  var bytes: [UInt8] { withBytes { Array($0) } }
}
