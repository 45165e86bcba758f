import Foundation
import Synchronization
import TestSupport

/// Forwards frames between two devices as a cable would, but for a hundredth each that it sends twice, lets another
/// overtake, or flips a bit of.
final class Relay: Sendable {
  struct Counts: Sendable {
    var forwarded = 0
    var duplicated = 0
    var reordered = 0
    var corrupted = 0
  }

  private let sockets: [PacketSocket]
  private let stop = StopFlag()
  private let isDisorderly = Atomic<Bool>(false)
  private let tally = Mutex(Counts())
  private let crew = Mutex<Crew<Void>?>(nil)

  private static let frameBytesMax = 65_600
  /// Address fields are left alone: a frame for nobody would be a loss.
  private static let ethernetHeaderBytes = 14
  /// How long a frame that shall be overtaken waits for another.
  private static let delay_ms: Int32 = 20

  init(in namespace: NetworkNamespace, between first: String, and second: String) throws {
    sockets = try namespace.withThread {
      try [first, second].map { try PacketSocket(on: $0) }
    }
    let crew = try Crew<Void>(2, in: namespace) { [self] number in
      forward(from: sockets[number], to: sockets[1 - number], seed: UInt64(number))
    }
    self.crew.withLock { $0 = crew }
  }

  /// Until then, and after ``end()``, it is a cable.
  func begin() { isDisorderly.store(true, ordering: .relaxed) }
  func end() { isDisorderly.store(false, ordering: .relaxed) }

  func shutDown() {
    stop.set()
    _ = crew.withLock { $0 }?.wait()
  }

  var counts: Counts { tally.withLock { $0 } }

  private func forward(from input: PacketSocket, to output: PacketSocket, seed: UInt64) {
    var random = SystemRandomNumberGenerator()
    var frame = [UInt8](repeating: 0, count: Self.frameBytesMax)
    var held: [UInt8]?
    while !stop.isSet {
      var event = pollfd(fd: input.descriptor, events: Int16(POLLIN), revents: 0)
      if poll(&event, 1, Self.delay_ms) <= 0 {
        // Nobody came to overtake it.
        if let late = held { output.send(late) }
        held = nil
        continue
      }
      let count = input.receive(into: &frame)
      guard count > 0 else { continue }
      var packet = Array(frame[..<count])
      guard isDisorderly.load(ordering: .relaxed) else {
        output.send(packet)
        continue
      }
      tally.withLock { $0.forwarded += 1 }
      switch Int.random(in: 0..<100, using: &random) {
      case 0:
        tally.withLock { $0.duplicated += 1 }
        output.send(packet)
      case 1 where held == nil:
        tally.withLock { $0.reordered += 1 }
        held = packet
        continue
      case 2 where count > Self.ethernetHeaderBytes:
        tally.withLock { $0.corrupted += 1 }
        packet[Int.random(in: Self.ethernetHeaderBytes..<count, using: &random)] ^= 1 << UInt8.random(in: 0..<8)
      default: break
      }
      output.send(packet)
      if let late = held { output.send(late) }
      held = nil
    }
  }
}
