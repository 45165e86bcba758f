import Glibc
import KernelTestSupport

/// A network namespace with loopback up, which goes with this value. Threads enter it for the time of a call.
final class TestNamespace {
  private let descriptor: Int32
  private var sockets: [Int32] = []
  private var listener: Int32 = -1
  private var packets: Int32 = -1

  struct Failure: Error, CustomStringConvertible {
    let call: String
    let code: Int32
    var description: String { "\(call): \(String(cString: strerror(code)))" }
  }

  init() throws {
    let original = try Self.openOwn()
    defer { close(original) }
    try Self.require(NamespaceCalls.unshare(NamespaceCalls.network), "unshare(CLONE_NEWNET)")
    defer { Self.comeBack(to: original) }
    descriptor = try Self.openOwn()
    try Self.raiseLoopback()
    for host: UInt32 in [1, 2] { try Self.addAddress(0x7f00_0000 | host) }
  }

  deinit {
    closeConnections()
    if listener >= 0 { close(listener) }
    if packets >= 0 { close(packets) }
    close(descriptor)
  }

  /// Runs `body` on this thread inside the namespace. Nothing in it may wait for a task.
  func enter<Value>(_ body: () throws -> Value) throws -> Value {
    let original = try Self.openOwn()
    defer { close(original) }
    try Self.require(NamespaceCalls.setns(descriptor, NamespaceCalls.network), "setns")
    defer { Self.comeBack(to: original) }
    return try body()
  }

  /// Listens on every address, of IPv6 and of IPv4.
  func listen(on port: UInt16) throws {
    listener = try enter {
      let made = try Self.stream(AF_INET6)
      try Self.listenAtAll(made, port)
      return made
    }
  }

  /// Listens on every address with MPTCP (IPPROTO_MPTCP, 262), until connections are closed.
  func listenMultipath(on port: UInt16) throws {
    let made = try enter {
      let made = try Self.require(socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 262), "socket(IPPROTO_MPTCP)")
      try Self.listenAtAll(made, port)
      return made
    }
    sockets.append(made)
  }

  /// Makes a connection that both ends keep open.
  func connect(from client: Endpoint, to server: Endpoint) throws {
    try enter {
      let made = try Self.stream(client.isIPv6 ? AF_INET6 : AF_INET)
      sockets.append(made)
      try Self.withAddress(client) { try Self.require(bind(made, $0, $1), "bind") }
      try Self.withAddress(server) { try Self.require(Glibc.connect(made, $0, $1), "connect") }
      sockets.append(try Self.require(accept(listener, nil, nil), "accept"))
    }
  }

  /// Keeps a copy of every frame loopback sends from now on, for `takeSent` (packet(7)).
  func watchLoopback() throws {
    packets = try enter {
      let made = try Self.require(
        socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(LinkAddress.allFrames)),
        "socket")
      var address = LinkAddress(interfaceIndex: 1)
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(made, $0, LinkAddress.byteCount) }
      }
      try Self.require(bound, "bind")
      return made
    }
  }

  /// The frames loopback has sent since the last time.
  func takeSent() -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var frame = [UInt8](repeating: 0, count: 70_000)
    while true {
      var from = LinkAddress(interfaceIndex: 0)
      var length = LinkAddress.byteCount
      let count = withUnsafeMutablePointer(to: &from) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(packets, &frame, frame.count, Int32(MSG_DONTWAIT), $0, &length)
        }
      }
      if count <= 0 { return frames }
      // The others are the same frames, coming in.
      if from.packetType == LinkAddress.outgoing { frames.append(Array(frame[..<count])) }
    }
  }

  func closeConnections() {
    // Reset, so that no socket stays in TIME-WAIT for the next test to find.
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    for socket in sockets {
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
      close(socket)
    }
    sockets = []
  }

  // MARK: System calls

  private static func stream(_ family: Int32) throws -> Int32 {
    try require(socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0), "socket")
  }

  private static func listenAtAll(_ socket: Int32, _ port: UInt16) throws {
    let wildcard = Endpoint(0, port, network: [UInt8](repeating: 0, count: 12))
    try withAddress(wildcard) { try require(bind(socket, $0, $1), "bind") }
    try require(Glibc.listen(socket, 64), "listen")
  }

  private static func withAddress(_ end: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void) rethrows
  {
    func call<Address>(_ address: Address) throws {
      try withUnsafeBytes(of: address) {
        try body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
    }
    guard end.isIPv6 else {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = end.port.bigEndian
      address.sin_addr.s_addr = end.address.bigEndian
      return try call(address)
    }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = end.port.bigEndian
    withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: end.addressBytes) }
    try call(address)
  }

  /// Gives loopback an IPv6 address of the tests' network.
  private static func addAddress(_ address: UInt32) throws {
    let socket = try require(socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0), "socket")
    defer { close(socket) }
    // struct in6_ifreq: address, prefix length, index of the interface.
    var request = Endpoint(address, 0, network: Endpoint.testNetwork).addressBytes + [128, 0, 0, 0, 1, 0, 0, 0]
    // SIOCSIFADDR.
    try require(ioctl(socket, 0x8916, &request), "ioctl(SIOCSIFADDR)")
  }

  private static func raiseLoopback() throws {
    let socket = try require(socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0), "socket")
    defer { close(socket) }
    // struct ifreq: 16 bytes of name, then the flags IFF_UP and IFF_RUNNING.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<2, with: "lo".utf8)
    request[16] = 0x41
    // SIOCSIFFLAGS.
    try require(ioctl(socket, 0x8914, &request), "ioctl(SIOCSIFFLAGS)")
  }

  private static func openOwn() throws -> Int32 {
    try require(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open(/proc/thread-self/ns/net)")
  }

  private static func comeBack(to original: Int32) {
    let result = NamespaceCalls.setns(original, NamespaceCalls.network)
    precondition(result == 0, "the thread cannot leave its test's network namespace")
  }

  @discardableResult private static func require(_ result: Int32, _ call: String) throws -> Int32 {
    guard result >= 0 else { throw Failure(call: call, code: errno) }
    return result
  }
}

/// `struct sockaddr_ll` of <linux/if_packet.h>, which Glibc's module has not.
private struct LinkAddress {
  var family = UInt16(AF_PACKET)
  var proto = LinkAddress.allFrames
  var interfaceIndex: Int32
  var hardwareType: UInt16 = 0
  var packetType: UInt8 = 0
  var addressLength: UInt8 = 0
  var address: UInt64 = 0

  init(interfaceIndex: Int32) { self.interfaceIndex = interfaceIndex }

  /// ETH_P_ALL, in network byte order.
  static let allFrames: UInt16 = 0x0300
  /// PACKET_OUTGOING
  static let outgoing: UInt8 = 4
  static let byteCount: socklen_t = 20
}

/// Functions and a constant of <sched.h> that need _GNU_SOURCE, so that Swift does not see them.
private enum NamespaceCalls {
  /// CLONE_NEWNET.
  static let network: CInt = 0x4000_0000

  static func unshare(_ flags: CInt) -> CInt {
    unsafeBitCast(dlsym(nil, "unshare"), to: (@convention(c) (CInt) -> CInt).self)(flags)
  }
  static func setns(_ descriptor: CInt, _ type: CInt) -> CInt {
    unsafeBitCast(dlsym(nil, "setns"), to: (@convention(c) (CInt, CInt) -> CInt).self)(descriptor, type)
  }
}
