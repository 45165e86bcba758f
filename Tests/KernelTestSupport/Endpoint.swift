/// Which IP a test speaks: most tests of the kernel part run once with each.
public enum Family: String, Sendable, CaseIterable {
  case ipv4 = "IPv4"
  case ipv6 = "IPv6"

  /// That of addresses made from 32 bits.
  @TaskLocal public static var current = Family.ipv4
}

/// An address and a TCP port, in host byte order. An IPv6 address is 12 bytes of network and behind them the 32 bits an
/// IPv4 address has, so that a test can be the same for both.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// nil: IPv4.
  public var network: [UInt8]?
  public var address: UInt32
  public var port: UInt16

  /// fd00:a905::/96, where the tests' IPv6 addresses are.
  public static let testNetwork: [UInt8] = [0xfd, 0, 0xa9, 5, 0, 0, 0, 0, 0, 0, 0, 0]

  /// An address of the family of the test.
  public init(_ address: UInt32, _ port: UInt16) {
    self.init(address, port, network: Family.current == .ipv6 ? Self.testNetwork : nil)
  }

  public init(_ address: UInt32, _ port: UInt16, network: [UInt8]?) {
    self.network = network
    self.address = address
    self.port = port
  }

  /// 127.0.0.`host`: what every network namespace has; or the same in the tests' network.
  public static func loopback(_ host: UInt8, port: UInt16) -> Endpoint { Endpoint(0x7f00_0000 | UInt32(host), port) }

  public var isIPv6: Bool { network != nil }
  /// 4 or 16 bytes, network byte order.
  public var addressBytes: [UInt8] {
    var bytes = network ?? []
    bytes.append32(address)
    return bytes
  }

  public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
  /// The address alone.
  public var host: String {
    guard isIPv6 else { return addressBytes.map(String.init).joined(separator: ".") }
    let bytes = addressBytes
    return stride(from: 0, to: 16, by: 2).map { String(bytes.word16($0), radix: 16) }.joined(separator: ":")
  }
}

extension [UInt8] {
  public mutating func append16(_ value: UInt16) { append(contentsOf: [UInt8(value >> 8), UInt8(value & 255)]) }
  public mutating func append32(_ value: UInt32) {
    append16(UInt16(value >> 16))
    append16(UInt16(value & 0xffff))
  }

  public func word16(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
  public func word32(_ offset: Int) -> UInt32 { UInt32(word16(offset)) << 16 | UInt32(word16(offset + 2)) }
}
