import CFaults
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

  private let descriptors: [Int32]
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
    descriptors = try namespace.withThread {
      try [first, second].map { device in
        let descriptor = cfaults_packet_socket(device)
        guard descriptor >= 0 else { throw SupportError.systemCall("packet socket on \(device)", errno) }
        return descriptor
      }
    }
    let crew = try Crew<Void>(2, in: namespace) { [self] number in
      forward(from: descriptors[number], to: descriptors[1 - number], seed: UInt64(number))
    }
    self.crew.withLock { $0 = crew }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  /// Until then, and after ``end()``, it is a cable.
  func begin() { isDisorderly.store(true, ordering: .relaxed) }
  func end() { isDisorderly.store(false, ordering: .relaxed) }

  func shutDown() {
    stop.set()
    _ = crew.withLock { $0 }?.wait()
  }

  var counts: Counts { tally.withLock { $0 } }

  private func forward(from input: Int32, to output: Int32, seed: UInt64) {
    var random = SystemRandomNumberGenerator()
    var frame = [UInt8](repeating: 0, count: Self.frameBytesMax)
    var held: [UInt8]?
    while !stop.isSet {
      var event = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
      if poll(&event, 1, Self.delay_ms) <= 0 {
        // Nobody came to overtake it.
        if let late = held { send(late, to: output) }
        held = nil
        continue
      }
      let count = cfaults_receive(input, &frame, UInt(frame.count), Int32(MSG_DONTWAIT))
      guard count > 0 else { continue }
      var packet = Array(frame[..<count])
      guard isDisorderly.load(ordering: .relaxed) else {
        send(packet, to: output)
        continue
      }
      tally.withLock { $0.forwarded += 1 }
      switch Int.random(in: 0..<100, using: &random) {
      case 0:
        tally.withLock { $0.duplicated += 1 }
        send(packet, to: output)
      case 1 where held == nil:
        tally.withLock { $0.reordered += 1 }
        held = packet
        continue
      case 2 where count > Self.ethernetHeaderBytes:
        tally.withLock { $0.corrupted += 1 }
        packet[Int.random(in: Self.ethernetHeaderBytes..<count, using: &random)] ^= 1 << UInt8.random(in: 0..<8)
      default: break
      }
      send(packet, to: output)
      if let late = held { send(late, to: output) }
      held = nil
    }
  }

  private func send(_ frame: [UInt8], to descriptor: Int32) {
    var frame = frame
    _ = cfaults_send(descriptor, &frame, 0, UInt32(frame.count), 1)
  }
}
