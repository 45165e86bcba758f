import Glibc
import NIOCore
import Testing

@testable import ApusServer

/// The user half's files in memory: what is open or kept is looked at again.
@Suite struct FileStoreTests {
  let directory: TemporaryDirectory
  private let root: DocumentRoot

  init() throws {
    directory = try TemporaryDirectory()
    root = try DocumentRoot(path: directory.path)
  }

  private func answer(_ path: String, _ files: inout FileStore) -> CachedFile? {
    Array(path.utf8).withUnsafeBytes { path in
      let answer = files.answer(
        site: 0, path: path, query: UnsafeRawBufferPointer(start: nil, count: 0), now_ns: Int(MonotonicClock.now_ns()))
      if case .file(let file) = answer { return file }
      return nil
    }
  }

  /// Of a small file.
  private func body(_ file: CachedFile) -> String? {
    file.memory.map { String(buffer: $0) }
  }

  private func tag(_ file: CachedFile?) -> String? {
    file.flatMap { file in
      String(buffer: file.persistentHead).split(separator: "\r\n").first { $0.hasPrefix("ETag: ") }.map(String.init)
    }
  }

  private func setTimes(_ file: String, s: Int) {
    var times = [timespec(tv_sec: s, tv_nsec: 0), timespec(tv_sec: s, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, file, &times, 0) == 0)
  }

  @Test(arguments: [0, 1_000_000_000])
  func editsOfOneSizeAndOneModificationTimeHaveDifferentTags(modified_s: Int) throws {
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    var tags: Set<String> = []
    for edit in 0..<5 {
      setTimes(try directory.write("f", "\(edit)"), s: modified_s)
      usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
      let file = try #require(answer("/f", &files))
      #expect(body(file) == "\(edit)")
      tags.insert(try #require(tag(file)))
    }
    #expect(tags.count == 5)
  }

  @Test func aKeptFileIsLookedAtAgainAfterItsTime() throws {
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    try directory.write("f", "1")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let first = try #require(answer("/f", &files))
    #expect(answer("/f", &files) === first, "kept")
    usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
    #expect(answer("/f", &files) === first, "looked at, and kept")
    try directory.write("f", "2")
    usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
    #expect(body(try #require(answer("/f", &files))) == "2")
  }

  @Test func largeFilesStayOpenAsLongAsSomebodyAsksForThem() throws {
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    for name in ["a", "b", "c"] {
      try directory.write(name, [UInt8](repeating: 1, count: ServerLimits.cachedFileBytesMax + 1))
    }
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let first = try #require(answer("/a", &files))
    guard case .open = first.content else { throw TemporaryDirectory.Failure(call: "a large file in memory") }
    #expect(answer("/a", &files) === first, "kept")
    _ = answer("/b", &files)
    _ = answer("/c", &files)
    let second = try #require(answer("/a", &files))
    #expect(second !== first, "no more than two are open")
    files.closeIdle(now_ns: second.checked_ns + ServerLimits.openFileIdle_s * 1_000_000_000)
    #expect(answer("/a", &files) === second)
    files.closeIdle(now_ns: second.checked_ns + (ServerLimits.openFileIdle_s + 1) * 1_000_000_000)
    #expect(answer("/a", &files) !== second, "closed")
  }

  @Test func aFileThatIsMappedForWritingIsAnsweredAndNotKept() throws {
    var files = FileStore(sites: Sites(root), bytesMax: 1 << 20, openFilesMax: 2)
    let descriptor = open(try directory.write("f", "1"), O_RDWR | O_CLOEXEC)
    let mapping = try #require(mmap(nil, 1, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    close(descriptor)
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    mapping.storeBytes(of: UInt8(ascii: "2"), as: UInt8.self)
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    #expect(answer("/f", &files).map(body) == "2")
    // Behind the first write to a page the next ones show in nothing.
    mapping.storeBytes(of: UInt8(ascii: "3"), as: UInt8.self)
    #expect(answer("/f", &files).map(body) == "3")
    munmap(mapping, 1)
    let kept = try #require(answer("/f", &files))
    #expect(answer("/f", &files) === kept)
  }

  @Test func aTagIsGivenOnlyWhereTheNextEditMustChangeIt() {
    let quiet = QuietFiles()
    let now_ns = QuietFiles.clock_ns(CLOCK_REALTIME)
    let second_ns = now_ns / 1_000_000_000 * 1_000_000_000
    #expect(quiet.hasTellingTimes(someFile(modified_ns: now_ns, changed_ns: second_ns + 1)))
    #expect(!quiet.hasTellingTimes(someFile(modified_ns: second_ns, changed_ns: second_ns)), "times of whole seconds")
    #expect(quiet.hasTellingTimes(someFile(modified_ns: 0, changed_ns: second_ns - 3_000_000_000)))
  }
}

extension CachedFile {
  /// The bytes of a small file.
  var memory: ByteBuffer? {
    if case .memory(let bytes) = content { bytes } else { nil }
  }
}
