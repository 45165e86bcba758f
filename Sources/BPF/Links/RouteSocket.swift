import Glibc

/// A netlink socket of family NETLINK_ROUTE (RFC 3549; Linux include/uapi/linux/rtnetlink.h).
final class RouteSocket: Sendable {
  private let descriptor: Descriptor

  init() throws(BPFError) {
    // NETLINK_ROUTE is protocol 0.
    let result = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard result >= 0 else { throw .failed("socket(AF_NETLINK)", errno: errno) }
    descriptor = Descriptor(result)
  }

  /// Sends a request and waits for its acknowledgement. Returns 0 or the errno.
  func request(_ message: RouteMessage) -> Int32 {
    let bytes = message.finished
    guard send(descriptor.rawValue, bytes, bytes.count, 0) == bytes.count else { return errno }
    var answer = [UInt8](repeating: 0, count: 8192)
    while true {
      let count = recv(descriptor.rawValue, &answer, answer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return errno }
      guard count >= 20 else { return EPROTO }
      let type = answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4, as: UInt16.self) }
      // struct nlmsgerr begins with the negative errno.
      if type == RouteMessage.error {
        return -answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 16, as: Int32.self) }
      }
    }
  }
}

/// One rtnetlink message: header, struct tcmsg, attributes.
struct RouteMessage {
  // NLMSG_ERROR, RTM_…
  static let error: UInt16 = 2
  static let newDiscipline: UInt16 = 36
  static let deleteDiscipline: UInt16 = 37
  static let newFilter: UInt16 = 44
  static let deleteFilter: UInt16 = 45
  /// TCA_KIND and TCA_OPTIONS
  static let kind: UInt16 = 1
  static let options: UInt16 = 2

  private var bytes: [UInt8] = []

  /// - Parameter create: the thing must not be there yet.
  init(_ type: UInt16, create: Bool) {
    // NLM_F_REQUEST | NLM_F_ACK, and NLM_F_EXCL | NLM_F_CREATE.
    let flags: UInt16 = create ? 0x605 : 0x005
    // struct nlmsghdr; the length comes last.
    put(UInt32(0))
    put(type)
    put(flags)
    put(UInt32(1))
    put(UInt32(0))
  }

  /// The message with its length.
  var finished: [UInt8] {
    var message = self
    message.setLength(at: 0, UInt32(bytes.count))
    return message.bytes
  }

  /// struct tcmsg
  mutating func appendHeader(_ interfaceIndex: UInt32, handle: UInt32, parent: UInt32, info: UInt32) {
    for word in [UInt32(AF_UNSPEC), interfaceIndex, handle, parent, info] { put(word) }
  }

  mutating func append(_ type: UInt16, _ value: UInt32) {
    put(UInt16(8))
    put(type)
    put(value)
  }

  mutating func append(_ type: UInt16, string: String) {
    let text = Array(string.utf8) + [0]
    put(UInt16(4 + text.count))
    put(type)
    bytes += text
    // Attributes begin at multiples of 4.
    bytes += repeatElement(0, count: -text.count & 3)
  }

  /// An attribute made of attributes.
  mutating func append(_ type: UInt16, nested body: (inout RouteMessage) -> Void) {
    let start = bytes.count
    put(UInt16(0))
    put(type)
    body(&self)
    setLength(at: start, UInt16(bytes.count - start))
  }

  private mutating func put<Number: FixedWidthInteger>(_ number: Number) {
    withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) }
  }

  private mutating func setLength<Number: FixedWidthInteger>(at offset: Int, _ length: Number) {
    withUnsafeBytes(of: length) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
  }
}
