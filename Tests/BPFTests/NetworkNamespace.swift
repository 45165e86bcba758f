import Foundation
import Testing

@testable import BPF

/// A network namespace the calling thread is in, with loopback up.
struct NetworkNamespace {
  /// Sends datagrams over loopback to a socket that takes them. Each is delivered before `send` returns.
  func sendPackets(_ count: Int) {
    let receiver = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    let sender = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer {
      close(receiver)
      close(sender)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(5005).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let (bound, connected) = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return (bind(receiver, $0, size), connect(sender, $0, size))
      }
    }
    #expect(bound == 0 && connected == 0)
    var byte: UInt8 = 0
    for _ in 0..<count {
      #expect(send(sender, "x", 1, 0) == 1)
      #expect(recv(receiver, &byte, 1, 0) == 1)
    }
  }

  /// Whether loopback has a clsact discipline, as tc(8) sees it.
  func hasClsact() throws -> Bool {
    let socket = try RouteSocket()
    // RTM_GETQDISC is 38.
    var message = RouteMessage(38, .list)
    message.appendHeader(1, handle: 0, parent: 0, info: 0)
    return try socket.list(message).contains { answer in
      RouteAttributes(Array(answer.dropFirst(RouteMessage.trafficHeaderSize))).string(RouteMessage.kind) == "clsact"
    }
  }

  fileprivate func raiseLoopback() -> Bool {
    let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    // struct ifreq: 16 bytes of name, then the flags: IFF_UP | IFF_RUNNING.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<2, with: Array("lo".utf8))
    request[16] = 0x41
    // SIOCSIFFLAGS
    return ioctl(socket, 0x8914, &request) == 0
  }
}

/// Runs `body` in a new network namespace, which goes afterwards. Nothing in `body` waits for a task, so all of it
/// runs on this thread, and the thread comes back to where it was.
func withNetworkNamespace(_ body: (NetworkNamespace) throws -> Void) throws {
  let original = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
  guard original >= 0 else { throw BPFError.failed("open(/proc/thread-self/ns/net)", errno: errno) }
  defer { close(original) }
  guard NamespaceCalls.unshare(NamespaceCalls.network) == 0 else {
    throw BPFError.failed("unshare(CLONE_NEWNET)", errno: errno)
  }
  defer {
    let result = NamespaceCalls.setns(original, NamespaceCalls.network)
    precondition(result == 0, "the thread cannot leave its test's network namespace")
  }
  let network = NetworkNamespace()
  guard network.raiseLoopback() else { throw BPFError.failed("ioctl(SIOCSIFFLAGS)", errno: errno) }
  try body(network)
}

/// Functions and a constant of <sched.h> that need _GNU_SOURCE, so that Swift does not see them.
private enum NamespaceCalls {
  /// CLONE_NEWNET
  static let network: CInt = 0x4000_0000

  static func unshare(_ flags: CInt) -> CInt {
    unsafeBitCast(dlsym(nil, "unshare"), to: (@convention(c) (CInt) -> CInt).self)(flags)
  }

  static func setns(_ descriptor: CInt, _ type: CInt) -> CInt {
    unsafeBitCast(dlsym(nil, "setns"), to: (@convention(c) (CInt, CInt) -> CInt).self)(descriptor, type)
  }
}
