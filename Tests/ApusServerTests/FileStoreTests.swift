import Glibc
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

  private func small(_ path: String, _ files: inout FileStore) -> CachedFile? {
    Array(path.utf8).withUnsafeBytes { path in
      let answer = files.answer(
        path: path, query: UnsafeRawBufferPointer(start: nil, count: 0), now_ns: Int(MonotonicClock.now_ns()))
      if case .small(let file) = answer { return file }
      return nil
    }
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
    var files = FileStore(root: root, bytesMax: 1 << 20)
    var tags: Set<String> = []
    for edit in 0..<5 {
      setTimes(try directory.write("f", "\(edit)"), s: modified_s)
      usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
      let file = try #require(small("/f", &files))
      #expect(String(buffer: file.body) == "\(edit)")
      tags.insert(try #require(tag(file)))
    }
    #expect(tags.count == 5)
  }

  @Test func aKeptFileIsLookedAtAgainAfterItsTime() throws {
    var files = FileStore(root: root, bytesMax: 1 << 20)
    try directory.write("f", "1")
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    let first = try #require(small("/f", &files))
    #expect(small("/f", &files) === first, "kept")
    usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
    #expect(small("/f", &files) === first, "looked at, and kept")
    try directory.write("f", "2")
    usleep(UInt32(ServerLimits.fileValidity_ms + 20) * 1000)
    #expect(String(buffer: try #require(small("/f", &files)).body) == "2")
  }

  @Test func aFileThatIsMappedForWritingIsAnsweredAndNotKept() throws {
    var files = FileStore(root: root, bytesMax: 1 << 20)
    let descriptor = open(try directory.write("f", "1"), O_RDWR | O_CLOEXEC)
    let mapping = try #require(mmap(nil, 1, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
    close(descriptor)
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    mapping.storeBytes(of: UInt8(ascii: "2"), as: UInt8.self)
    usleep(UInt32(ServerLimits.quiet_ms + 20) * 1000)
    #expect(small("/f", &files).map { String(buffer: $0.body) } == "2")
    // Behind the first write to a page the next ones show in nothing.
    mapping.storeBytes(of: UInt8(ascii: "3"), as: UInt8.self)
    #expect(small("/f", &files).map { String(buffer: $0.body) } == "3")
    munmap(mapping, 1)
    let kept = try #require(small("/f", &files))
    #expect(small("/f", &files) === kept)
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
