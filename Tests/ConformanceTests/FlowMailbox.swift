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

  func take(_ frame: PacketSocket.Frame) {
    if frame.isOutgoing {
      state.withLock { $0.sentAt_s = frame.time_s }
      return
    }
    guard let segment = ReceivedSegment(frame.bytes) else { return }
    state.withLock { state in
      state.arrivals.append(SegmentInTime(segment, after_ms: (frame.time_s - state.sentAt_s) * 1000))
    }
    arrived.signal()
  }

  func next(timeout_ms: Int) -> SegmentInTime? {
    guard arrived.wait(timeout: .now() + .milliseconds(timeout_ms)) == .success else { return nil }
    return state.withLock { $0.arrivals.removeFirst() }
  }
}

/// Reads a packet socket on a thread of its own and gives each connection its frames.
final class FrameDistributor: Sendable {
  private let socket: PacketSocket
  private let mailboxes = Mutex<[UInt16: FlowMailbox]>([:])
  private let isStopped = Atomic<Bool>(false)
  private let finished = DispatchSemaphore(value: 0)

  /// - Parameter address: of the client whose frames are wanted.
  init(_ socket: PacketSocket, client address: UInt32) {
    self.socket = socket
    let thread = Thread { [self] in
      while !isStopped.load(ordering: .relaxed) {
        guard let frame = socket.receive(), let port = Self.clientPort(frame, address) else { continue }
        mailboxes.withLock { $0[port] }?.take(frame)
      }
      finished.signal()
    }
    thread.start()
  }

  func mailbox(for port: UInt16) -> FlowMailbox {
    let mailbox = FlowMailbox()
    mailboxes.withLock { $0[port] = mailbox }
    return mailbox
  }

  func stop() {
    isStopped.store(true, ordering: .relaxed)
    finished.wait()
  }

  /// The client's port of a TCP segment from or to the client.
  private static func clientPort(_ frame: PacketSocket.Frame, _ address: UInt32) -> UInt16? {
    let bytes = frame.bytes
    guard bytes.count >= 54, bytes.word16(12) == 0x0800, bytes[23] == 6 else { return nil }
    let transport = 14 + Int(bytes[14] & 15) * 4
    guard bytes.word32(frame.isOutgoing ? 26 : 30) == address, bytes.count >= transport + 4 else { return nil }
    return bytes.word16(transport + (frame.isOutgoing ? 0 : 2))
  }
}
