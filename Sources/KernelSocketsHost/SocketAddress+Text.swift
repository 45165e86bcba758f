import Glibc
import KernelSockets
import Wire

extension SocketAddress {
  /// inet_aton(3), inet_pton(3): `192.0.2.1:80` or `[2001:db8::1]:80`.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    var ipv4 = in_addr()
    var ipv6 = in6_addr()
    if inet_pton(AF_INET, host, &ipv4) == 1 {
      self.init(address: IPAddress(ipv4: ipv4.s_addr), port: port.bigEndian)
    } else if inet_pton(AF_INET6, host, &ipv6) == 1 {
      self.init(address: withUnsafeBytes(of: &ipv6) { IPAddress($0.baseAddress!) }, port: port.bigEndian)
    } else {
      return nil
    }
  }
}
