import Glibc
import Testing

@testable import BPF

@Suite("Ring buffers", KernelTesting.trait) struct RingBufferTests {
  struct Event: Equatable {
    var length: UInt32
    var sequence: UInt32
    var mark: UInt32
  }

  static func isReadable(_ descriptor: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) == 1
  }

  @Test("Events come in order and whole; discarded records are skipped")
  func events() throws {
    var loaded = try LoadedObject.testPrograms()
    var ring = try loaded.ringBuffer("eventsMap")
    let descriptor = ring.fileDescriptor
    #expect(ring.consume { _ in Issue.record("an event in an empty buffer") } == 0)
    #expect(!Self.isReadable(descriptor))
    _ = try loaded.program("reports").testRun(packet: testPacket)
    #expect(Self.isReadable(descriptor))
    var events: [Event] = []
    let count = ring.consume { events.append($0.loadUnaligned(as: Event.self)) }
    #expect(count == 2)
    #expect(events == [Event(length: 64, sequence: 1, mark: 0xfeed), Event(length: 64, sequence: 2, mark: 0xfeed)])
    #expect(!Self.isReadable(descriptor))
  }

  @Test("Positions wrap around many times without a loss")
  func wrapping() throws {
    var loaded = try LoadedObject.testPrograms()
    var ring = try loaded.ringBuffer("eventsMap")
    let program = try loaded.program("reports")
    var sequences: [UInt32] = []
    // A round takes 80 of 4096 bytes, so the data wraps some forty times at changing offsets.
    for _ in 0..<200 {
      _ = try program.testRun(packet: testPacket, repeat: 10)
      ring.consume { sequences.append($0.loadUnaligned(as: Event.self).sequence) }
    }
    #expect(sequences.count == 4000)
    #expect(sequences.enumerated().allSatisfy { $0.element == ($0.offset % 2 == 0 ? 1 : 2) })
  }

  @Test("A limit leaves the rest for the next time")
  func limit() throws {
    var loaded = try LoadedObject.testPrograms()
    var ring = try loaded.ringBuffer("eventsMap")
    _ = try loaded.program("reports").testRun(packet: testPacket, repeat: 5)
    #expect(ring.consume(atMost: 3) { _ in } == 3)
    #expect(Self.isReadable(ring.fileDescriptor))
    #expect(ring.consume { _ in } == 7)
  }

  @Test("A full buffer loses the newest events, not the order")
  func full() throws {
    var loaded = try LoadedObject.testPrograms()
    var ring = try loaded.ringBuffer("eventsMap")
    _ = try loaded.program("reports").testRun(packet: testPacket, repeat: 1000)
    let first = ring.consume { _ in }
    #expect(first > 80 && first < 171)
    _ = try loaded.program("reports").testRun(packet: testPacket)
    #expect(ring.consume { _ in } == 2)
  }
}
