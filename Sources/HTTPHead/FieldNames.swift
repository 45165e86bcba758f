/// The field names a head is searched for. Every other name is only checked to be a name.
///
/// A name is looked up by its first 8 bytes in lower case (shorter names are filled up with zeros): one
/// multiplication finds its place in a table without collisions, one comparison decides. Longer names that share
/// 8 bytes with one in the table are taken for it at first; those whose value matters are held against the whole name
/// afterwards.
/// FieldNamesTests finds a new multiplier when a name is added.
public enum FieldKind {
  public static var other: UInt8 { 0 }
  public static var host: UInt8 { 1 }
  public static var connection: UInt8 { 2 }
  public static var ifNoneMatch: UInt8 { 3 }
  public static var ifModifiedSince: UInt8 { 4 }
  public static var acceptEncoding: UInt8 { 5 }
  /// If-Match and If-Unmodified-Since (RFC 9110 section 13.1): the server behind decides.
  public static var conditional: UInt8 { 6 }
  /// Range, If-Range, Expect, Upgrade, Authorization, Content-*, Transfer-*, TE, Trailer, Proxy-*: it too.
  public static var refused: UInt8 { 7 }
  public static var count: Int { 8 }
}

enum FieldNames {
  @inline(__always) static func kind(of key: UInt64) -> UInt8 {
    let index = Int(truncatingIfNeeded: (key &* multiplier) >> 59)
    return fieldNameKeys[index & 31] == key ? fieldNameKinds[index & 31] : FieldKind.other
  }

  static var multiplier: UInt64 { 0xc4a3_8236_9248_b6e7 }
}

let fieldNameKeys: InlineArray<32, UInt64> = [
  0x0000_0000_7473_6f68,  // host
  0x2d74_6e65_746e_6f63,  // content-
  0x0065_6461_7267_7075,  // upgrade
  0x0000_0000_0000_0000,
  0x0000_0065_676e_6172,  // range
  0x0000_0000_0000_0000,
  0x0000_0000_0000_0000,
  0x0000_7463_6570_7865,  // expect
  0x0000_0000_0000_0000,
  0x0000_0000_0000_0000,
  0x7a69_726f_6874_7561,  // authoriz
  0x0000_0000_0000_0000,
  0x6567_6e61_722d_6669,  // if-range
  0x7265_6673_6e61_7274,  // transfer
  0x0000_0000_0000_0000,
  0x0072_656c_6961_7274,  // trailer
  0x6573_2d32_7074_7468,  // http2-se
  0x0000_0000_0000_0000,
  0x2d65_6e6f_6e2d_6669,  // if-none-
  0x0000_0000_0000_6574,  // te
  0x0000_0000_0000_0000,
  0x7561_2d79_786f_7270,  // proxy-au
  0x6f63_2d79_786f_7270,  // proxy-co
  0x0000_0000_0000_0000,
  0x0000_0000_0000_0000,
  0x6974_6365_6e6e_6f63,  // connecti
  0x6669_646f_6d2d_6669,  // if-modif
  0x652d_7470_6563_6361,  // accept-e
  0x6863_7461_6d2d_6669,  // if-match
  0x0000_0000_0000_0000,
  0x0000_0000_0000_0000,
  0x646f_6d6e_752d_6669,  // if-unmod
]

let fieldNameKinds: InlineArray<32, UInt8> = [
  1, 7, 7, 0, 7, 0, 0, 7, 0, 0, 7, 0, 7, 7, 0, 7, 7, 0, 3, 7, 0, 7, 7, 0, 0, 2, 4, 5, 6, 0, 0, 6,
]
