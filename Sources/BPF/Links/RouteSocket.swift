import Glibc

/// A netlink socket, for requests (RFC 3549; Linux include/uapi/linux/netlink.h).
package final class RouteSocket: Sendable {
  private let descriptor: Descriptor

  /// - Parameter family: of the subsystem; NETLINK_ROUTE is 0.
  package init(family: Int32 = 0) throws(BPFError) {
    let result = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family)
    guard result >= 0 else { throw .failed("socket(AF_NETLINK)", errno: errno) }
    descriptor = Descriptor(result)
  }

  /// Sends a request and waits for its acknowledgement. Returns 0 or the errno.
  func request(_ message: RouteMessage) -> Int32 {
    exchange(message) { _ in }
  }

  /// Sends a request for a list and returns the answer's messages, without their headers (struct nlmsghdr).
  package func list(_ message: RouteMessage) throws(BPFError) -> [[UInt8]] {
    var messages: [[UInt8]] = []
    let code = exchange(message) { messages.append(Array($0)) }
    guard code == 0 else { throw .failed("netlink list", errno: code) }
    return messages
  }

  /// Sends a message and hands on what comes back, until the acknowledgement or the end of the list.
  private func exchange(_ message: RouteMessage, _ body: (ArraySlice<UInt8>) -> Void) -> Int32 {
    let bytes = message.finished
    guard send(descriptor.rawValue, bytes, bytes.count, 0) == bytes.count else { return errno }
    // The kernel puts at most 32 KB of a list in one datagram.
    var answer = [UInt8](repeating: 0, count: 32 << 10)
    while true {
      let count = recv(descriptor.rawValue, &answer, answer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return errno }
      var position = 0
      while count - position >= RouteMessage.headerSize {
        let length = Int(answer.number(UInt32.self, at: position))
        guard length >= RouteMessage.headerSize, length <= count - position else { return EPROTO }
        switch answer.number(UInt16.self, at: position + 4) {
        case RouteMessage.done: return 0
        // struct nlmsgerr begins with the negative errno.
        case RouteMessage.error where length >= 20: return -answer.number(Int32.self, at: position + 16)
        case RouteMessage.error: return EPROTO
        default: body(answer[position + RouteMessage.headerSize..<position + length])
        }
        position += (length + 3) & ~3
      }
    }
  }
}

/// One netlink message: header, a struct of the subsystem (struct tcmsg, for one), attributes.
package struct RouteMessage {
  // NLMSG_ERROR, NLMSG_DONE, RTM_…
  static let error: UInt16 = 2
  static let done: UInt16 = 3
  static let newDiscipline: UInt16 = 36
  static let deleteDiscipline: UInt16 = 37
  static let newFilter: UInt16 = 44
  static let deleteFilter: UInt16 = 45
  static let getFilter: UInt16 = 46
  /// TCA_KIND and TCA_OPTIONS
  static let kind: UInt16 = 1
  static let options: UInt16 = 2

  /// sizeof(struct nlmsghdr) and sizeof(struct tcmsg)
  static let headerSize = 16
  static let trafficHeaderSize = 20

  private var bytes: [UInt8] = []

  package enum Purpose: UInt16 {
    /// NLM_F_REQUEST | NLM_F_ACK
    case act = 0x005
    /// NLM_F_EXCL | NLM_F_CREATE besides: the thing must not be there yet.
    case create = 0x605
    /// NLM_F_REQUEST | NLM_F_DUMP
    case list = 0x301
  }

  /// A message that ends with the subsystem's struct.
  package init(_ type: UInt16, _ purpose: Purpose, body: [UInt8]) {
    self.init(type, purpose)
    bytes += body
  }

  init(_ type: UInt16, _ purpose: Purpose) {
    // struct nlmsghdr; the length comes last.
    put(UInt32(0))
    put(type)
    put(purpose.rawValue)
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

extension [UInt8] {
  /// A number in host byte order, as netlink has them.
  package func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type, at offset: Int) -> Number {
    withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
  }
}
