import Conformance
import Foundation
import KernelTestSupport
import Synchronization

/// What passes the client's device on one connection, in its order.
final class FlowMailbox: Sendable {
  private struct State {
    var arrivals: [SegmentInTime] = []
    /// When the client's last packet was on the wire.
    var sentAt_s = 0.0
  }

  private let state = Mutex(State())
  private let arrived = DispatchSemaphore(value: 0)
  private let hasEthernet: Bool

  init(hasEthernet: Bool) { self.hasEthernet = hasEthernet }

  func take(_ frame: Frame) {
    if frame.isOutgoing {
      if let time_s = frame.time_s { state.withLock { $0.sentAt_s = time_s } }
      return
    }
    guard let segment = ReceivedSegment(frame.bytes, hasEthernet: hasEthernet) else { return }
    state.withLock { state in
      state.arrivals.append(SegmentInTime(segment, after_ms: frame.time_s.map { ($0 - state.sentAt_s) * 1000 } ?? 0))
    }
    arrived.signal()
  }

  /// The client is about to send; when exactly, the frame tells where it comes by.
  func isSending() { state.withLock { $0.sentAt_s = Date().timeIntervalSince1970 } }

  func next(timeout_ms: Int) -> SegmentInTime? {
    guard arrived.wait(timeout: .now() + .milliseconds(timeout_ms)) == .success else { return nil }
    return state.withLock { $0.arrivals.removeFirst() }
  }
}

/// Reads a device on a thread of its own and gives each connection its frames.
final class FrameDistributor: Sendable {
  private let device: any FrameDevice
  private let mailboxes = Mutex<[UInt16: FlowMailbox]>([:])
  private let isStopped = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameter client: the address whose frames are wanted.
  init(_ device: any FrameDevice, client: Endpoint) {
    self.device = device
    let thread = Thread { [self] in
      while !isStopped.load(ordering: .relaxed) {
        guard let frame = device.receive(), let port = clientPort(frame, client) else { continue }
        mailboxes.withLock { $0[port] }?.take(frame)
      }
      finished.signal()
    }
    thread.start()
  }

  func mailbox(for port: UInt16) -> FlowMailbox {
    let mailbox = FlowMailbox(hasEthernet: device.hasEthernet)
    mailboxes.withLock { $0[port] = mailbox }
    return mailbox
  }

  func stop() {
    isStopped.store(true, ordering: .relaxed)
    finished.wait()
  }

  /// The client's port of a TCP segment from or to the client.
  private func clientPort(_ frame: Frame, _ client: Endpoint) -> UInt16? {
    guard let segment = ReceivedSegment(frame.bytes, hasEthernet: device.hasEthernet) else { return nil }
    let end = frame.isOutgoing ? segment.source : segment.destination
    return end.addressBytes == client.addressBytes ? end.port : nil
  }
}
