/// The entity tag of a file (RFC 9110 section 8.8.3), a strong one.
///
/// It changes whenever size, modification time or change time do, or another file takes the name. The change time is
/// what the kernel notes in nanoseconds at every write, so that two edits within a second, or a modification time set
/// to 0 or back, make different tags. The values go through a hash: inode numbers are nobody's business.
struct EntityTag: Equatable, Sendable {
  /// With its quotation marks.
  let bytes: [UInt8]

  init(_ metadata: FileMetadata) {
    var hash: UInt64 = 0
    let parts = [
      metadata.device, metadata.inode, UInt64(bitPattern: Int64(metadata.modified_ns)),
      UInt64(bitPattern: Int64(metadata.changed_ns)),
    ]
    for part in parts {
      // The finishing steps of SplitMix64: each is invertible, so no part's difference is lost on the way in.
      hash = (hash ^ part) &+ 0x9e37_79b9_7f4a_7c15
      hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
      hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
      hash ^= hash >> 31
    }
    bytes = Array("\"\(String(metadata.size, radix: 16))-\(String(hash, radix: 16))\"".utf8)
  }
}
