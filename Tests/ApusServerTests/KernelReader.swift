import Contract
import Glibc
import Synchronization

@testable import ApusServer

/// Plain memory in the place of the maps.
final class TestMemory: @unchecked Sendable {
  let memory: StoreMemory
  static let indexBytes = Limits.indexBucketsMax * IndexBucket.byteCount

  init(arenaBytes: Int = 1 << 20) {
    // Slack behind the arena, as the mapping has.
    let index = UnsafeMutableRawPointer.allocate(byteCount: Self.indexBytes, alignment: 64)
    let arena = UnsafeMutableRawPointer.allocate(byteCount: arenaBytes + Limits.recordBytesMax, alignment: 64)
    index.initializeMemory(as: UInt8.self, repeating: 0, count: Self.indexBytes)
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: arenaBytes + Limits.recordBytesMax)
    memory = StoreMemory(index: index, arena: arena, arenaByteCount: arenaBytes)
  }
  deinit {
    memory.index.deallocate()
    memory.arena.deallocate()
  }
}

/// A clock the test moves.
final class TestClock: Sendable {
  private let value_ns: Atomic<UInt64>
  init(_ start_ns: UInt64 = 1_000_000_000_000) { value_ns = Atomic(start_ns) }
  func now_ns() -> UInt64 { value_ns.load(ordering: .relaxed) }
  func advance(ms: UInt64) { value_ns.add(ms * 1_000_000, ordering: .relaxed) }
}

/// Finds and copies objects as the kernel part does, from the contract's words alone: nothing of the store's own code.
struct KernelReader: Sendable {
  struct Answer: Equatable {
    var head: [UInt8]
    var body: [UInt8]
    var dateOffset: Int
    /// Of head and body together.
    var checksum: UInt16
    var generation: UInt32
    /// The head and the body are one run of bytes.
    var isContiguous: Bool
    var unit: Int
  }
  enum Outcome: Equatable {
    case none
    /// The generation was odd, or another one after copying.
    case torn
    case answer(Answer)
  }

  let test: TestMemory
  let seed: UInt64
  /// Called in the middle of copying: where a slow reader is most easily overtaken.
  var pause: @Sendable () -> Void = {}

  /// Little-endian; the missing bytes of the last word are its upper ones.
  private static func words(_ path: [UInt8]) -> [UInt64] {
    stride(from: 0, to: path.count, by: 8).map { start in
      path[start..<min(start + 8, path.count)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      // The missing bytes of the last word are its upper ones: nothing to shift.
    }
  }

  func hash(_ site: UInt16, _ path: [UInt8]) -> UInt64 {
    var hash = PathHash(seed: seed, site: site)
    for word in Self.words(path) { hash.add(word) }
    return hash.finish(length: path.count)
  }

  func slots(_ site: UInt16, _ path: [UInt8]) -> [UInt64] {
    let bucket = Int(IndexBucket.bucket(hash: hash(site, path)))
    return (0..<8).map {
      (test.memory.index + bucket * 64 + $0 * 8).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
        .load(ordering: .acquiring)
    }
  }

  /// - Parameters:
  ///   - variant: of `VariantIndex`, plus `VariantIndex.count` for 304, whose body is nobody's business.
  ///   - hit_s: what the kernel part writes into the record for an answer.
  func read(
    _ path: String, site: UInt16 = 0, coding: ContentCoding = .identity, variant: Int = 0, hit_s: UInt32? = nil
  ) -> Outcome {
    let bytes = Array(path.utf8)
    let hash = hash(site, bytes)
    guard let slot = slots(site, bytes).first(where: { IndexBucket.matches(slot: $0, hash: hash) }) else {
      return .none
    }
    let unit = Int(slot & 0xffff_ffff)
    let record = test.memory.arena + unit * 64
    let generation = self.generation(record)
    if generation % 2 != 0 { return .torn }
    guard record.load(fromByteOffset: 16, as: UInt16.self) == site,
      record.load(fromByteOffset: 18, as: UInt16.self) == bytes.count,
      Self.words(bytes).enumerated().allSatisfy({
        record.load(fromByteOffset: 40 + 8 * $0.offset, as: UInt64.self) == $0.element
      })
    else { return self.generation(record) == generation ? .none : .torn }
    func field(_ offset: Int) -> Int { Int(record.load(fromByteOffset: offset, as: UInt16.self)) }
    let place = field(20 + 2 * Int(coding.rawValue))
    if place <= 1 { return self.generation(record) == generation ? .none : .torn }
    let (headOffset, headLength) = (field(place + 8 * variant), field(place + 8 * variant + 2))
    let (bodyOffset, bodyLength) = (field(place + 64), field(place + 66))
    // Offsets of a record that is being written may be anything; the kernel bounds them too.
    guard headOffset + headLength <= 32_768, bodyOffset + bodyLength <= 32_768 else { return .torn }
    let head = copy(record + headOffset, headLength)
    let (dateOffset, headChecksum) = (field(place + 8 * variant + 4), UInt16(field(place + 8 * variant + 6)))
    let bodyChecksum = UInt16(field(place + 68))
    var checksum = Int(headChecksum) + Int(headLength % 2 == 0 ? bodyChecksum : bodyChecksum.byteSwapped)
    if checksum > 0xffff { checksum -= 0xffff }
    pause()
    let answer = Answer(
      head: head, body: copy(record + bodyOffset, bodyLength), dateOffset: dateOffset, checksum: UInt16(checksum),
      generation: generation, isContiguous: headOffset + headLength == bodyOffset, unit: unit)
    atomicMemoryFence(ordering: .acquiring)
    if self.generation(record) != generation { return .torn }
    if headLength == 0 { return .none }
    if let hit_s { record.storeBytes(of: hit_s, toByteOffset: 4, as: UInt32.self) }
    return .answer(answer)
  }

  func answer(
    _ path: String, site: UInt16 = 0, coding: ContentCoding = .identity, variant: Int = 0, hit_s: UInt32? = nil
  ) -> Answer? {
    let outcome = read(path, site: site, coding: coding, variant: variant, hit_s: hit_s)
    if case .answer(let answer) = outcome { return answer }
    return nil
  }

  /// The tag, the date and the rules of a representation that is known to be there.
  func validators(_ path: String, coding: ContentCoding = .identity) -> (tag: [UInt8], date: [UInt8], rules: UInt16)? {
    guard let unit = answer(path, coding: coding)?.unit else { return nil }
    let record = test.memory.arena + unit * 64
    func field(_ offset: Int) -> Int { Int(record.load(fromByteOffset: offset, as: UInt16.self)) }
    let place = field(20 + 2 * Int(coding.rawValue))
    let date = field(place + 74) == 0 ? [] : copy(record + field(place + 74), 29)
    return (copy(record + field(place + 70), field(place + 72)), date, UInt16(field(place + 76)))
  }

  private func generation(_ record: UnsafeMutableRawPointer) -> UInt32 {
    record.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring)
  }

  private func copy(_ start: UnsafeMutableRawPointer, _ count: Int) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: start, count: count))
  }
}

extension KernelReader.Answer {
  /// The ones' complement sum byte by byte: even places count once, odd ones 256 times.
  var expectedChecksum: UInt16 {
    var sum = 0
    for (place, byte) in (head + body).enumerated() {
      if dateOffset != 0, (dateOffset..<dateOffset + 29).contains(place) { continue }
      sum += place % 2 == 0 ? Int(byte) : Int(byte) << 8
    }
    while sum > 0xffff { sum = sum % 0x10000 + sum / 0x10000 }
    return UInt16(sum)
  }
}

extension ObjectKey {
  init(_ path: String, site: UInt16 = 0) { self.init(site: site, path: Array(path.utf8)) }
}

extension ComposedObject {
  static let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

  /// An object whose four heads differ in a field, all with a Date.
  static func sample(_ body: String, server: String = "test") -> ComposedObject {
    let heads = [
      "1.1 200 OK\r\n", "1.1 200 OK\r\nConnection: close\r\n", "1.0 200 OK\r\nConnection: keep-alive\r\n",
      "1.0 200 OK\r\n",
    ]
    return ComposedObject(
      heads: heads.map { line in
        let text = "HTTP/\(line)Server: \(server)\r\n"
        return Head(bytes: Array((text + date + "\r\n").utf8), dateOffset: text.utf8.count + 6)
      }, body: Array(body.utf8))
  }
}
