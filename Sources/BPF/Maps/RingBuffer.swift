import Synchronization

/// The reading end of a ring buffer (Linux Documentation/bpf/ringbuf.rst).
///
/// It may move to another thread, but there is one reader at a time: `consume` is mutating, so the compiler sees to it.
public struct RingBuffer: ~Copyable, @unchecked Sendable {
  private let descriptor: Descriptor
  /// Our position, which the kernel reads; its own page.
  private let consumer: MemoryMapping
  /// The kernel's position in a page of its own, then the data twice, so that no record is in two pieces.
  private let producer: MemoryMapping
  private let size: UInt64

  private static let busy: UInt32 = 1 << 31
  private static let discarded: UInt32 = 1 << 30
  private static let headerSize: UInt64 = 8

  /// Readable (poll, epoll) when there is something to consume.
  public var fileDescriptor: Int32 { descriptor.rawValue }

  init(_ map: MapHandle) throws(BPFError) {
    try map.require(.ringBuffer, as: "ring buffer")
    let page = MemoryMapping.pageSize
    let size = Int(map.definition.maxEntries)
    let consumer = try MemoryMapping(map.descriptor, offset: 0, byteCount: page, writable: true)
    let producer = try MemoryMapping(map.descriptor, offset: page, byteCount: page + 2 * size, writable: false)
    descriptor = map.descriptor
    self.size = UInt64(size)
    self.consumer = consumer
    self.producer = producer
  }

  /// Hands finished records to `body`, whose bytes are valid only during the call. Stops at the first one that is
  /// still being written, or after `limit` records: programs may write as fast as they are read. Returns the number
  /// of records, without discarded ones.
  @discardableResult
  public mutating func consume(atMost limit: Int = .max, _ body: (UnsafeRawBufferPointer) -> Void) -> Int {
    let data = producer.base + MemoryMapping.pageSize
    // Only we write the consumer's position.
    var position = Self.word(consumer.base).pointee.load(ordering: .relaxed)
    var count = 0
    while count < limit, position < Self.word(producer.base).pointee.load(ordering: .acquiring) {
      let record = data + Int(position & (size - 1))
      // The kernel clears the busy bit (bpf_ringbuf_commit, xchg) after the record has been written.
      let header = record.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring)
      if header & Self.busy != 0 { break }
      let length = UInt64(header & ~(Self.busy | Self.discarded))
      if header & Self.discarded == 0 {
        body(UnsafeRawBufferPointer(start: record + Int(Self.headerSize), count: Int(length)))
        count += 1
      }
      position += (length + Self.headerSize + 7) & ~7
      // Sequentially consistent, because the kernel wakes us only if it sees that we had caught up: our position must
      // be out before we look for the next record.
      Self.word(consumer.base).pointee.store(position, ordering: .sequentiallyConsistent)
    }
    return count
  }

  /// Hands to `body` what is finished now, and nothing that comes while it is read: for programs that send much. Room is
  /// given back in pieces, not for each record, because every program that sends reads where we are. Returns the number
  /// of bytes that have become free.
  @discardableResult
  public mutating func drain(_ body: (UnsafeRawBufferPointer) -> Void) -> Int {
    let data = producer.base + MemoryMapping.pageSize
    let start = Self.word(consumer.base).pointee.load(ordering: .relaxed)
    let end = Self.word(producer.base).pointee.load(ordering: .acquiring)
    let piece = size / 16
    var position = start
    var released = start
    while position < end {
      let record = data + Int(position & (size - 1))
      let header = record.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring)
      if header & Self.busy != 0 { break }
      let length = UInt64(header & ~(Self.busy | Self.discarded))
      if header & Self.discarded == 0 {
        body(UnsafeRawBufferPointer(start: record + Int(Self.headerSize), count: Int(length)))
      }
      position += (length + Self.headerSize + 7) & ~7
      if position - released >= piece {
        Self.word(consumer.base).pointee.store(position, ordering: .releasing)
        released = position
      }
    }
    // As in `consume`: whoever waits afterwards must not miss what has come.
    Self.word(consumer.base).pointee.store(position, ordering: .sequentiallyConsistent)
    return Int(position - start)
  }

  /// Bytes of records it has room for.
  public var byteCount: Int { Int(size) }

  private static func word(_ address: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt64>> {
    address.assumingMemoryBound(to: Atomic<UInt64>.self)
  }
}

extension LoadedObject {
  /// Opens the ring buffer of that identifier for reading.
  public func ringBuffer(_ name: String) throws(BPFError) -> RingBuffer {
    try RingBuffer(map(name))
  }
}
