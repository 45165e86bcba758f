import CTestSupport
import Glibc
import TestSupport

/// Where the scripts' client meets the wire.
protocol FrameDevice: AnyObject, Sendable {
  /// Frames begin with an Ethernet header.
  var hasEthernet: Bool { get }
  /// The next frame, or nil after a while without one.
  func receive() -> Frame?
  func send(_ frame: [UInt8]) throws
}

struct Frame: Sendable {
  var bytes: [UInt8]
  /// Seconds of CLOCK_REALTIME at which it passed the device; nil where the kernel does not tell.
  var time_s: Double?
  /// It was sent by the client.
  var isOutgoing: Bool
}

/// A packet socket (packet(7)): whole frames to and from one device.
final class PacketSocket: FrameDevice {
  let hasEthernet = true
  let descriptor: Int32

  private static let receiveBufferBytes: Int32 = 16 << 20
  private static let receiveTimeout_us = 50_000
  static let frameBytesMax = 65_550

  /// Opens a socket in the calling thread's network namespace.
  init(on device: String) throws {
    let allFrames = UInt16(ETH_P_ALL).bigEndian
    descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(allFrames))
    guard descriptor >= 0 else { throw SupportError.systemCall("packet socket on \(device)", errno) }
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = allFrames
    address.sll_ifindex = Int32(if_nametoindex(device))
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
      }
    }
    guard bound == 0 else {
      let code = errno
      close(descriptor)
      throw SupportError.systemCall("packet socket on \(device)", code)
    }
    set(SO_RCVBUFFORCE, Self.receiveBufferBytes)
    set(SO_RCVTIMEO, timeval(tv_sec: 0, tv_usec: Self.receiveTimeout_us))
  }

  deinit { close(descriptor) }

  private func set<Value: BitwiseCopyable>(_ option: Int32, _ value: Value) {
    _ = withUnsafeBytes(of: value) { setsockopt(descriptor, SOL_SOCKET, option, $0.baseAddress, socklen_t($0.count)) }
  }

  /// The next frame, or nil after a while without one.
  func receive() -> Frame? {
    var buffer = [UInt8](repeating: 0, count: Self.frameBytesMax)
    var from = sockaddr_ll()
    var length = socklen_t(MemoryLayout<sockaddr_ll>.size)
    let count = withUnsafeMutablePointer(to: &from) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(descriptor, &buffer, buffer.count, 0, $0, &length)
      }
    }
    guard count > 0 else { return nil }
    var time = timespec()
    // SIOCGSTAMPNS of packet(7), "the timestamp of the last received packet".
    let stamped = ioctl(descriptor, UInt(ctestsupport_receive_time), &time)
    precondition(stamped == 0, "the kernel does not tell when it saw a packet")
    return Frame(
      bytes: Array(buffer[..<count]), time_s: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9,
      isOutgoing: Int32(from.sll_pkttype) == PACKET_OUTGOING)
  }

  func send(_ frame: [UInt8]) throws {
    guard Glibc.send(descriptor, frame, frame.count, 0) == frame.count else {
      throw SupportError.systemCall("send on a packet socket", errno)
    }
  }
}
