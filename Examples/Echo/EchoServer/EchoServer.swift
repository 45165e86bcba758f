import BPFKernel
import KernelSockets
import Wire

/// RFC 862 over TCP, in the kernel: whatever a segment brings is sent back.
///
/// Segments longer than 2 KB, or than the client's window or maximum segment size, go with their connection to the
/// listening socket behind: an echo server in user mode.
@section("tc") @used @c(echo_ingress)
public func echoIngress(_ context: UnsafeMutableRawPointer) -> Int32 {
  EchoServer.run(PacketContext(context)).rawValue
}

struct EchoServer: SimpleSocketServer {
  let packet: PacketContext
  let memory: SocketMemory
  let settings: UnsafeMutablePointer<SocketSettings>

  @inline(__always)
  init(_ packet: PacketContext, _ memory: SocketMemory, _ settings: UnsafeMutablePointer<SocketSettings>) {
    self.packet = packet
    self.memory = memory
    self.settings = settings
  }

  func receive() -> Step {
    isPayloadLoaded ? send(length: UInt32(segment.payloadLength)) : .handOver(code: 0)
  }

  /// A response is asked for again by the very data it repeats, so the bytes are
  /// at hand.
  func canRepeat() -> Bool { true }
}
