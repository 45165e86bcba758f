import Foundation
import HeadReference
import KernelTestSupport

// What libFuzzer calls (https://llvm.org/docs/LibFuzzer.html); `Scripts/fuzz` starts it. libFuzzer has the main function
// and one thread.

nonisolated(unsafe) private let memory = GuardedHead()
private let environment = ProcessInfo.processInfo.environment
/// Inputs are written down as lines of the corpus, not tried.
private let printsHeads = environment["APUS_FUZZ_PRINT"] != nil

/// Once, before libFuzzer looks at its arguments: writes what it starts from, if it is told where.
@c(LLVMFuzzerInitialize) public func initialize(
  _ argumentCount: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  guard let folder = environment["APUS_FUZZ_SEEDS"] else { return 0 }
  do {
    try Seeds.write(to: URL(filePath: folder, directoryHint: .isDirectory))
  } catch {
    FileHandle.standardError.write(Data("apus: error: cannot write the seeds to \(folder): \(error)\n".utf8))
    exit(1)
  }
  return 0
}

/// One head. It is tried on two buffers, because what stands behind it must not matter.
@c(LLVMFuzzerTestOneInput) public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let head = Array(UnsafeBufferPointer(start: bytes, count: count))
  if printsHeads {
    // libFuzzer itself tries the empty input first.
    if !head.isEmpty { print(HeadCorpus.line(head)) }
    return 0
  }
  let first = HeadComparison(of: head, in: memory, garbage: .byte(0))
  let second = HeadComparison(of: head, in: memory, seed: UInt64(count), garbage: .echo)
  if let wrong = first.disagreement ?? second.disagreement { fail(wrong, head) }
  if first.parsed != second.parsed || first.meaning != second.meaning {
    fail("\(first.parsed), but \(second.parsed) where the buffer holds other bytes behind the head", head)
  }
  return 0
}

private func fail(_ disagreement: String, _ head: [UInt8]) -> Never {
  FileHandle.standardError.write(Data("apus: error: \(disagreement)\n  of: \(HeadCorpus.line(head))\n".utf8))
  abort()
}

/// Where fuzzing starts: the corpus, heads as programs send them, and a dictionary of what is put into heads.
private enum Seeds {
  static func write(to folder: URL) throws {
    try write(HeadCorpus.heads(), to: folder.appending(path: "corpus"))
    try write(BrowserHeads.all, to: folder.appending(path: "programs"))
    // The format of AFL's dictionaries, which libFuzzer reads, escapes only so.
    let words = HeadMutator.words.map { word in
      let text = word.map { byte in
        (0x20...0x7e).contains(byte) && byte != 0x22 && byte != 0x5c
          ? String(UnicodeScalar(byte)) : #"\x"# + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
      }
      return "\"\(text.joined())\"\n"
    }
    try Data(words.joined().utf8).write(to: folder.appending(path: "words.dict"))
  }

  private static func write(_ heads: [[UInt8]], to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (number, head) in heads.enumerated() { try Data(head).write(to: folder.appending(path: "\(number)")) }
  }
}
