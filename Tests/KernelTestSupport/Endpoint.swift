/// An IPv4 address and a TCP port, in host byte order.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  public var address: UInt32
  public var port: UInt16

  public init(_ address: UInt32, _ port: UInt16) {
    self.address = address
    self.port = port
  }

  /// 127.0.0.`host`: what every network namespace has.
  public static func loopback(_ host: UInt8, port: UInt16) -> Endpoint { Endpoint(0x7f00_0000 | UInt32(host), port) }

  public var description: String {
    let parts = stride(from: 24, through: 0, by: -8).map { String(address >> UInt32($0) & 255) }
    return "\(parts.joined(separator: ".")):\(port)"
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
