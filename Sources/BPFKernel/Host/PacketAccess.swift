extension PacketContext {
  /// The packet's memory. It is only read, and only until the next helper call, as in the kernel.
  func linear(_ count: Int, at offset: Int) -> UnsafeRawPointer? {
    let packet = SimulatedKernel.current.packet
    guard offset + count <= packet.count else { return nil }
    return packet.withUnsafeBytes { $0.baseAddress.map { $0 + offset } }
  }
}
