import CFaults
import Glibc
import TestSupport

/// A packet socket (packet(7)): receives every frame of a device, outgoing ones among them, and sends whole frames to it.
final class PacketSocket: Sendable {
  let descriptor: Int32

  /// Room for what comes while the thread that reads does something else.
  private static let bufferBytes: Int32 = 64 << 20
  /// Frames one system call sends.
  private static let batchMax = 64

  /// Opens a socket in the calling thread's network namespace.
  init(on device: String) throws {
    let allFrames = UInt16(ETH_P_ALL).bigEndian
    let index = Int32(if_nametoindex(device))
    descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(allFrames))
    guard descriptor >= 0 else { throw SupportError.systemCall("packet socket on \(device)", errno) }
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = allFrames
    address.sll_ifindex = index
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_ll>.size))
      }
    }
    var membership = packet_mreq()
    membership.mr_ifindex = index
    membership.mr_type = UInt16(PACKET_MR_PROMISC)
    guard bound == 0, set(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership) == 0 else {
      let code = errno
      close(descriptor)
      throw SupportError.systemCall("packet socket on \(device)", code)
    }
    // Smaller where the process may not; then more is lost, which the counts show.
    _ = set(SOL_SOCKET, SO_RCVBUFFORCE, Self.bufferBytes)
  }

  deinit { close(descriptor) }

  private func set<Value: BitwiseCopyable>(_ level: Int32, _ option: Int32, _ value: Value) -> Int32 {
    withUnsafeBytes(of: value) { setsockopt(descriptor, level, option, $0.baseAddress, socklen_t($0.count)) }
  }

  /// Receives one frame without waiting.
  ///
  /// - Returns: its length, -1 if there is none, or 0 if it was a frame this host sent.
  func receive(into frame: inout [UInt8]) -> Int {
    var from = sockaddr_ll()
    var length = socklen_t(MemoryLayout<sockaddr_ll>.size)
    let count = withUnsafeMutablePointer(to: &from) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(descriptor, &frame, frame.count, Int32(MSG_DONTWAIT), $0, &length)
      }
    }
    return count > 0 && Int32(from.sll_pkttype) == PACKET_OUTGOING ? 0 : count
  }

  /// Sends `count` frames that lie `stride` bytes apart and are `length` bytes long each.
  ///
  /// - Returns: how many were sent; a full queue of the device refuses some.
  func send(_ frames: UnsafeMutableRawPointer, stride: Int, length: Int, count: Int) -> Int {
    let count = min(count, Self.batchMax)
    return withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { parts in
      withUnsafeTemporaryAllocation(of: cfaults_message.self, capacity: count) { messages in
        for index in 0..<count {
          parts.initializeElement(at: index, to: iovec(iov_base: frames + index * stride, iov_len: length))
          var message = cfaults_message()
          message.header.msg_iov = parts.baseAddress! + index
          message.header.msg_iovlen = 1
          messages.initializeElement(at: index, to: message)
        }
        return max(0, cfaults_sendmmsg(descriptor, messages.baseAddress!, UInt32(count)))
      }
    }
  }

  func send(_ frame: [UInt8]) {
    var frame = frame
    let length = frame.count
    _ = frame.withUnsafeMutableBytes { send($0.baseAddress!, stride: 0, length: length, count: 1) }
  }

  /// The hardware address of a device in the calling thread's network namespace, 6 bytes (getifaddrs(3)).
  static func hardwareAddress(of device: String) throws -> [UInt8] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { throw SupportError.systemCall("getifaddrs", errno) }
    defer { freeifaddrs(list) }
    var next = list
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = entry.pointee.ifa_addr, Int32(address.pointee.sa_family) == AF_PACKET,
        String(cString: entry.pointee.ifa_name) == device
      else { continue }
      return address.withMemoryRebound(to: sockaddr_ll.self, capacity: 1) { link in
        withUnsafeBytes(of: link.pointee.sll_addr) { Array($0.prefix(Int(ETH_ALEN))) }
      }
    }
    throw SupportError.systemCall("hardware address of \(device)", ENODEV)
  }
}
