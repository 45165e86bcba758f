/// Loads at any alignment. Packets and heads begin where they like; BPF on the machines we run on loads whole
/// words from any address, while `loadUnaligned`
/// and `storeBytes` would be taken apart into bytes.
extension UnsafeRawPointer {
  @inline(__always) public func word8(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
  @inline(__always) public func word16(_ offset: Int) -> UInt16 { load(fromByteOffset: offset, as: UInt16.self) }
  @inline(__always) public func word32(_ offset: Int) -> UInt32 { load(fromByteOffset: offset, as: UInt32.self) }
  @inline(__always) public func word64(_ offset: Int) -> UInt64 { load(fromByteOffset: offset, as: UInt64.self) }
}

extension UnsafeMutableRawPointer {
  @inline(__always) public func put16(_ value: UInt16, _ offset: Int) {
    (self + offset).assumingMemoryBound(to: UInt16.self).pointee = value
  }
  @inline(__always) public func put32(_ value: UInt32, _ offset: Int) {
    (self + offset).assumingMemoryBound(to: UInt32.self).pointee = value
  }
  @inline(__always) public func put64(_ value: UInt64, _ offset: Int) {
    (self + offset).assumingMemoryBound(to: UInt64.self).pointee = value
  }
}
