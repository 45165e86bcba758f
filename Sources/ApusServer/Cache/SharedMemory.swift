import Contract
import Glibc
import Synchronization

/// The memory both halves see, as the daemon has it mapped.
///
/// The store is its only user in the daemon and its only writer, but for `ObjectRecord.lastHit_s`.
struct StoreMemory: @unchecked Sendable {
  /// `Limits.indexBucketsMax` buckets of `IndexBucket.byteCount` bytes.
  var index: UnsafeMutableRawPointer
  /// A power of two of bytes, at least `ArenaAllocator.arenaBytesMin`.
  var arena: UnsafeMutableRawPointer
  var arenaByteCount: Int

  static let generationOffset = 0
  static let lastHitOffset = 4
  /// The fields between the two atomic words and the path.
  static let fieldsOffset = 8

  func slot(bucket: UInt32, _ number: Int) -> UnsafeMutableRawPointer {
    index + Int(bucket) * IndexBucket.byteCount + number * MemoryLayout<UInt64>.size
  }
}

extension UnsafeMutableRawPointer {
  // The word here as an atomic one: `Atomic` has the layout of its value. Stores release, loads acquire.

  func storeAtomic(_ value: UInt32) {
    assumingMemoryBound(to: Atomic<UInt32>.self).pointee.store(value, ordering: .releasing)
  }
  func storeAtomic(_ value: UInt64) {
    assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(value, ordering: .releasing)
  }
  func loadAtomicUInt32() -> UInt32 {
    assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring)
  }
  func loadAtomicUInt64() -> UInt64 {
    assumingMemoryBound(to: Atomic<UInt64>.self).pointee.load(ordering: .acquiring)
  }
}

/// CLOCK_MONOTONIC, the clock both halves share.
enum MonotonicClock {
  static func now_ns() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
