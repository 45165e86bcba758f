import Foundation
import TestSupport

/// A tun device (Documentation/networking/tuntap.rst), and what is at its other end: datagrams without a link-layer
/// header. Nothing tells when one passed: when it is read depends on how busy the machine is, so no times are checked.
final class Tunnel: FrameDevice {
  let hasEthernet = false
  private let descriptor: Int32

  private static let receiveTimeout_ms: Int32 = 5

  /// Makes the device in the calling thread's network namespace; it goes with this value.
  init(_ name: String) throws {
    descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { throw SupportError.systemCall("open /dev/net/tun", errno) }
    // struct ifreq: 16 bytes of name, then IFF_TUN and IFF_NO_PI.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
    request[16] = 0x01
    request[17] = 0x10
    // TUNSETIFF
    guard ioctl(descriptor, 0x4004_54ca, &request) == 0 else {
      let code = errno
      close(descriptor)
      throw SupportError.systemCall("ioctl(TUNSETIFF)", code)
    }
  }

  deinit { close(descriptor) }

  func receive() -> Frame? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, Self.receiveTimeout_ms) > 0 else { return nil }
    var buffer = [UInt8](repeating: 0, count: PacketSocket.frameBytesMax)
    let count = read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return Frame(bytes: Array(buffer[..<count]), time_s: nil, isOutgoing: false)
  }

  func send(_ frame: [UInt8]) throws {
    guard write(descriptor, frame, frame.count) == frame.count else {
      throw SupportError.systemCall("write to a tunnel", errno)
    }
  }
}
