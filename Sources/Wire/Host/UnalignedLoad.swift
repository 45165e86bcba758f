/// Loads at any alignment: the host's side of the file of this name for the kernel.
extension UnsafeRawPointer {
  @inline(__always) public func word8(_ offset: Int) -> UInt8 { loadUnaligned(fromByteOffset: offset, as: UInt8.self) }
  @inline(__always) public func word16(_ offset: Int) -> UInt16 {
    loadUnaligned(fromByteOffset: offset, as: UInt16.self)
  }
  @inline(__always) public func word32(_ offset: Int) -> UInt32 {
    loadUnaligned(fromByteOffset: offset, as: UInt32.self)
  }
  @inline(__always) public func word64(_ offset: Int) -> UInt64 {
    loadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }
}

extension UnsafeMutableRawPointer {
  @inline(__always) public func put16(_ value: UInt16, _ offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
  }
  @inline(__always) public func put32(_ value: UInt32, _ offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
  }
  @inline(__always) public func put64(_ value: UInt64, _ offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
  }
}
