import Contract
import Glibc
import NIOCore
import Wire

/// An address and port as a user writes them: `127.0.0.1:8080`, `0.0.0.0:80`, `[::1]:8080`, `[::]:80`.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
  public var address: IPAddress
  public var port: UInt16

  /// 127.0.0.1:8080
  public static let `default` = ListenAddress(address: IPAddress(ipv4: UInt32(0x7f00_0001).bigEndian), port: 8080)

  public init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// `nil` unless the text is four decimal bytes, or an IPv6 address in brackets, a colon, and a port from 1 to 65535;
  /// `:8080` and `*:8080` stand for all IPv4 addresses, `localhost:8080` for 127.0.0.1. Link-local addresses mean nothing
  /// without an interface, and are covered by `[::]`.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    self.port = port
    switch text[..<colon] {
    case "", "*": address = IPAddress(ipv4: 0)
    case "localhost": address = Self.default.address
    case let host where host.hasPrefix("[") && host.hasSuffix("]"):
      guard let address = IPAddress(ipv6: String(host.dropFirst().dropLast())), !address.isLinkLocal else { return nil }
      self.address = address
    case let host:
      guard let address = IPAddress(ipv4: String(host)) else { return nil }
      self.address = address
    }
  }

  /// The address alone, without brackets.
  public var host: String { address.text }
  public var description: String { address.isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }
  /// All addresses; `[::]` covers those of IPv4 as well, as a dual-stack socket does (RFC 3493 section 5.3).
  public var isWildcard: Bool { address == IPAddress() || address == IPAddress(ipv4: 0) }

  func isOfFamily(of other: ListenAddress) -> Bool { address.isIPv4 == other.address.isIPv4 }

  /// Whether packets to a local address are answered.
  public func covers(_ local: IPAddress) -> Bool {
    address == local || address == IPAddress() || (address == IPAddress(ipv4: 0) && local.isIPv4)
  }

  /// Whether there is an address that both cover.
  public func overlaps(_ other: ListenAddress) -> Bool {
    port == other.port && (covers(other.address) || other.covers(address))
  }
}

extension IPAddress {
  /// Four decimal bytes.
  init?(ipv4 text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { $0.allSatisfy(\.isNumber) ? UInt8($0) : nil }
    guard parts.count == 4, bytes.count == 4 else { return nil }
    self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) }.bigEndian)
  }

  /// RFC 4291 section 2.2, without a zone.
  init?(ipv6 text: String) {
    var bytes = in6_addr()
    guard inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
    self = withUnsafeBytes(of: bytes) { IPAddress($0.baseAddress!) }
  }

  /// RFC 5952, or four decimal bytes.
  var text: String {
    withUnsafeBytes(of: self) { bytes in
      if isIPv4 { return bytes[12...].map { String($0) }.joined(separator: ".") }
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      inet_ntop(AF_INET6, bytes.baseAddress, &text, socklen_t(text.count))
      return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  /// The 16 bytes as a number, the first bit the highest.
  var bits: UInt128 {
    [word0, word1, word2, word3].reduce(0) { $0 << 32 | UInt128(UInt32(bigEndian: $1)) }
  }

  init(bits: UInt128) {
    self.init()
    word0 = UInt32(truncatingIfNeeded: bits >> 96).bigEndian
    word1 = UInt32(truncatingIfNeeded: bits >> 64).bigEndian
    word2 = UInt32(truncatingIfNeeded: bits >> 32).bigEndian
    word3 = UInt32(truncatingIfNeeded: bits).bigEndian
  }

  /// The address with its first bits, of 128, as they are, and zeros behind.
  func prefix(_ length: Int) -> IPAddress { IPAddress(bits: length == 0 ? 0 : bits & ~0 << UInt128(128 - length)) }

  /// Bits in front of an IPv4 address.
  static let mappedLength = 96

  /// fe80::/10
  var isLinkLocal: Bool { UInt32(bigEndian: word0) >> 22 == 0xfe80 >> 6 }
  /// 127.0.0.0/8 and ::1
  var isLoopback: Bool { isIPv4 ? UInt32(bigEndian: ipv4) >> 24 == 127 : bits == 1 }

  /// Calls a function of the socket API with this address.
  func withSocketAddress<Result>(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    func call<Address>(_ address: Address) -> Result {
      withUnsafeBytes(of: address) { body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) }
    }
    if isIPv4 {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = ipv4
      address.sin_port = port.bigEndian
      return call(address)
    }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    withUnsafeMutableBytes(of: &address.sin6_addr) { emit(to: $0.baseAddress!) }
    address.sin6_port = port.bigEndian
    return call(address)
  }

  /// From a socket address of either family.
  init?(_ address: UnsafePointer<sockaddr>) {
    switch Int32(address.pointee.sa_family) {
    case AF_INET: self.init(ipv4: UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    case AF_INET6: self.init(UnsafeRawPointer(address) + 8)
    default: return nil
    }
  }
}

extension SocketAddress {
  /// `nil` for other families.
  var internetAddress: IPAddress? { withSockAddr { address, _ in IPAddress(address) } }

  /// An IPv4 client of a dual-stack socket by its own address, all others as they are.
  var withoutMapping: SocketAddress {
    guard case .v6 = self, let address = internetAddress, address.isIPv4 else { return self }
    return (try? SocketAddress(ipAddress: address.text, port: port ?? 0)) ?? self
  }
}

/// A prefix of addresses as a user writes it: `192.0.2.0/24`, `198.51.100.7`, `2001:db8::/32`.
public struct AddressPrefix: Sendable, Hashable, CustomStringConvertible {
  /// The bits behind the prefix are zero.
  public let address: IPAddress
  /// 0...32, or 0...128 with IPv6.
  public let length: Int

  /// `nil` unless the text is an address, alone or with a slash and a length.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let host = String(parts[0])
    guard let address = IPAddress(ipv4: host) ?? IPAddress(ipv6: host) else { return nil }
    let longest = host.contains(":") ? 128 : 32
    guard let length = parts.count == 1 ? longest : Int(parts[1]), (0...longest).contains(length) else { return nil }
    // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
    self.length = longest == 128 && address.isIPv4 ? length - IPAddress.mappedLength : length
    guard self.length >= 0 else { return nil }
    self.address = address.prefix(longest == 32 ? IPAddress.mappedLength + length : length)
  }

  /// Bits that count of the 16 bytes.
  var lengthOfAll: Int { address.isIPv4 ? IPAddress.mappedLength + length : length }

  /// A client of the other family is never in a prefix, be it of no bits.
  func contains(_ client: IPAddress) -> Bool {
    client.isIPv4 == address.isIPv4 && client.prefix(lengthOfAll) == address
  }

  public var description: String { "\(address.text)/\(length)" }
}
