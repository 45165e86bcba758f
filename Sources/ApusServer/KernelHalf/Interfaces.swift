import Glibc
import Wire

/// An address of an interface of this network namespace.
struct InterfaceAddress: Hashable, Sendable {
  var interface: String
  var index: UInt32
  var address: IPAddress
  var isLoopback: Bool

  /// The addresses of all interfaces that are up (getifaddrs(3)).
  static func all() -> [InterfaceAddress] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var entries: [ifaddrs] = []
    var next = list
    while let entry = next {
      entries.append(entry.pointee)
      next = entry.pointee.ifa_next
    }
    return entries.compactMap { entry in
      guard let address = entry.ifa_addr.flatMap({ IPAddress($0) }), entry.ifa_flags & UInt32(IFF_UP) != 0 else {
        return nil
      }
      return InterfaceAddress(
        interface: String(cString: entry.ifa_name), index: if_nametoindex(entry.ifa_name),
        address: address, isLoopback: entry.ifa_flags & UInt32(IFF_LOOPBACK) != 0)
    }
  }

  /// Where packets to the listening addresses come in: at the interfaces that carry them, and, from this host itself,
  /// at loopback.
  static func covering(_ listen: [ListenAddress], among all: [InterfaceAddress]) -> [InterfaceAddress] {
    let carrying = all.filter { candidate in
      listen.contains { $0.covers(candidate.address) }
    }
    return carrying.isEmpty ? [] : carrying + all.filter { $0.isLoopback && !carrying.contains($0) }
  }
}
