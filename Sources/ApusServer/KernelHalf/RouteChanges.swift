import BPF
import Glibc

/// Hears of changes of interfaces, addresses, routes and rules (rtnetlink's multicast groups).
final class RouteChanges: Sendable {
  private let descriptor: Int32

  /// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE,
  /// RTNLGRP_IPV6_RULE
  private static let groups: UInt32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18

  /// Listens in this thread's network namespace from now on.
  init() throws(BPFError) {
    let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    descriptor = socket(AF_NETLINK, type, 0)
    guard descriptor >= 0 else { throw .systemCall(name: "socket(AF_NETLINK)", errno: errno) }
    // struct sockaddr_nl: family, padding, port, groups.
    var address: (UInt16, UInt16, UInt32, UInt32) = (UInt16(AF_NETLINK), 0, 0, Self.groups)
    let length = socklen_t(MemoryLayout.size(ofValue: address))
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw .systemCall(name: "bind(AF_NETLINK)", errno: code)
    }
  }

  deinit { close(descriptor) }

  /// Whether there was a change since the last call.
  func hasChanged() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 8192)
    var changed = false
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0 && errno == EINTR { continue }
      // ENOBUFS: so many that some are lost.
      if count < 0 && errno == ENOBUFS {
        changed = true
        continue
      }
      if count <= 0 { return changed }
      changed = true
    }
  }
}
