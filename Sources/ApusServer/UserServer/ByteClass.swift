/// Classes of bytes in an HTTP/1 head, by table.
struct ByteClass {
  /// RFC 9110 section 5.6.2.
  static let token: UInt8 = 1
  /// RFC 9110 section 5.5: VCHAR, obs-text, SP, HTAB.
  static let fieldValue: UInt8 = 2
  /// In a request target: VCHAR but `#`, and bytes above 127, which browsers and curl send unencoded in paths.
  static let target: UInt8 = 4
  /// In a registered name (RFC 3986 section 3.2.2), `%` included.
  static let hostName: UInt8 = 8

  private static let table: [UInt8] = {
    var table = [UInt8](repeating: 0, count: 256)
    let alphanumerics = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in alphanumerics + Array("!#$%&'*+-.^_`|~".utf8) { table[Int(byte)] |= token }
    for byte in alphanumerics + Array("-._~!$&'()*+,;=%".utf8) { table[Int(byte)] |= hostName }
    for byte in 0x21...0xff where byte != 0x7f {
      table[byte] |= fieldValue
      if byte != 0x23 { table[byte] |= target }
    }
    table[0x20] |= fieldValue
    table[0x09] |= fieldValue
    return table
  }()

  /// The table at an address that stays: looking it up costs no lazy initialisation and no reference count.
  private let base: UnsafePointer<UInt8>

  /// Never freed: there is one.
  static let shared: ByteClass = {
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
    copy.initialize(from: table, count: 256)
    return ByteClass(base: UnsafePointer(copy))
  }()

  @inline(__always)
  func contains(_ byte: UInt8, _ mask: UInt8) -> Bool { base[Int(byte)] & mask != 0 }

  @inline(__always)
  func all(_ bytes: UnsafeRawBufferPointer, _ mask: UInt8) -> Bool {
    for byte in bytes where base[Int(byte)] & mask == 0 { return false }
    return true
  }
}

extension ByteClass: @unchecked Sendable {}
