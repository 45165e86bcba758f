import BPFKernel
import Testing

@Suite struct ResizeTests {
  /// What is left of a packet's length and of its `gso_size`.
  private func resize(_ bytes: [UInt8], segmentSize: UInt32, to length: Int) -> (length: Int, segmentSize: Int32) {
    let result = SimulatedKernel().run(
      { context in
        context.storeBytes(of: segmentSize, toByteOffset: 176, as: UInt32.self)
        guard PacketContext(context).resize(to: UInt32(length)) else { return -1 }
        return Int32(context.load(fromByteOffset: 176, as: UInt32.self))
      }, packet: bytes)
    return (result.packet.count, result.verdict)
  }

  @Test("a packet becomes as long as it should be", arguments: [54, 100, 1514])
  func length(of length: Int) {
    #expect(resize([UInt8](repeating: 1, count: 100), segmentSize: 0, to: length) == (length, 0))
  }

  @Test("what was to be segmented is one packet afterwards, also where it has its length already")
  func segmentation() {
    for length in [99, 100, 101] {
      #expect(resize([UInt8](repeating: 1, count: 100), segmentSize: 40, to: length) == (length, 0))
    }
  }
}
