extension PacketContext {
  /// Direct packet access: the verifier learns from the comparison how many bytes may be read.
  @inline(__always) func linear(_ count: Int, at offset: Int) -> UnsafeRawPointer? {
    let start = UInt(raw.load(fromByteOffset: 76, as: UInt32.self))
    let end = UInt(raw.load(fromByteOffset: 80, as: UInt32.self))
    guard let data = UnsafeRawPointer(bitPattern: start), let limit = UnsafeRawPointer(bitPattern: end) else {
      return nil
    }
    let bytes = data + offset
    return bytes + count <= limit ? bytes : nil
  }
}
