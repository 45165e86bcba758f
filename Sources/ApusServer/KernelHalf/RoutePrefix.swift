import Wire

/// A prefix of addresses, IPv4 ones in their mapped form, the bits behind it zero. All IPv4 addresses are `all` as well:
/// routes of the two families never meet.
struct RoutePrefix: Hashable, Sendable {
  let address: IPAddress
  /// Bits that count of the 16 bytes: 0...128.
  let length: Int

  static let all = RoutePrefix()

  private init() {
    address = IPAddress()
    length = 0
  }

  /// - Parameter length: bits of all 16 bytes.
  init(_ address: IPAddress, length: Int) {
    if address.isIPv4 && length <= IPAddress.mappedLength {
      self = .all
    } else {
      self.address = address.prefix(length)
      self.length = length
    }
  }

  init(_ prefix: AddressPrefix) { self.init(prefix.address, length: prefix.lengthOfAll) }

  /// Link-local addresses of IPv6.
  static let linkLocal = RoutePrefix(AddressPrefix("fe80::/10")!)

  func contains(_ other: IPAddress) -> Bool { other.prefix(length) == address }

  /// Bits of the family's own addresses.
  var lengthInFamily: Int { length == 0 || !address.isIPv4 ? length : length - IPAddress.mappedLength }

  /// The prefixes that contain this one, the longest first, itself not among them.
  var covering: some Sequence<RoutePrefix> {
    let shortest = address.isIPv4 ? IPAddress.mappedLength : 0
    let lengths = length == 0 ? [] : Array((shortest..<length).reversed())
    return lengths.lazy.map { RoutePrefix(address, length: $0) }
  }
}
