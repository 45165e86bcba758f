import Glibc

/// What a program made of a packet (BPF_PROG_TEST_RUN).
public struct TestRun: Sendable, Equatable {
  /// The program's verdict, such as TC_ACT_OK.
  public let returnValue: UInt32
  /// The packet as the program left it, with its Ethernet header.
  public let packet: [UInt8]
  /// Average of one run.
  public let duration_ns: UInt32
}

extension Program {
  /// A program makes a packet at most 16 KB large; the kernel wants room for it.
  private static let maxPacketSize = 64 << 10
  /// sizeof(struct __sk_buff), and the offset of its ifindex.
  private static let contextSize = 192
  private static let contextInterfaceIndex = 40

  /// Runs the program on a packet that is on no wire; its helpers do work for real.
  /// - Parameters:
  ///   - packet: begins with an Ethernet header (14 bytes).
  ///   - repeatCount: of runs, for measuring.
  ///   - interfaceIndex: of the device the packet comes in by; loopback by default. For `tc` programs only.
  public func testRun(
    packet: [UInt8], repeat repeatCount: Int = 1, interfaceIndex: UInt32? = nil
  ) throws(BPFError) -> TestRun {
    var output = [UInt8](repeating: 0, count: Self.maxPacketSize)
    var context = [UInt8](repeating: 0, count: Self.contextSize)
    if let interfaceIndex {
      withUnsafeBytes(of: interfaceIndex) {
        context.replaceSubrange(Self.contextInterfaceIndex..<Self.contextInterfaceIndex + 4, with: $0)
      }
    }
    var attributes = TestRunAttributes(
      programDescriptor: UInt32(descriptor.rawValue), dataSizeIn: UInt32(packet.count),
      dataSizeOut: UInt32(output.count), dataIn: 0, dataOut: 0, repeatCount: UInt32(clamping: repeatCount))
    let result = packet.withUnsafeBytes { input in
      output.withUnsafeMutableBytes { output in
        context.withUnsafeBytes { context in
          attributes.dataIn = UInt64(input.baseAddress)
          attributes.dataOut = UInt64(output.baseAddress)
          if interfaceIndex != nil {
            attributes.contextIn = UInt64(context.baseAddress)
            attributes.contextSizeIn = UInt32(context.count)
          }
          return Command.programTestRun(&attributes)
        }
      }
    }
    guard result >= 0 else { throw .failed("BPF_PROG_TEST_RUN", errno: Int32(-result)) }
    return TestRun(
      returnValue: attributes.returnValue, packet: Array(output.prefix(Int(attributes.dataSizeOut))),
      duration_ns: attributes.duration_ns)
  }

  /// Asks an `sk_lookup` program for the listener of a connection that is not there.
  ///
  /// - Parameter lookup: a `struct bpf_sk_lookup`; its first word is not read.
  /// - Returns: the program's verdict, and whether it assigned a listener.
  public func testRun(lookup: [UInt8]) throws(BPFError) -> (returnValue: UInt32, isAssigned: Bool) {
    var lookup = lookup
    var attributes = TestRunAttributes(
      programDescriptor: UInt32(descriptor.rawValue), dataSizeIn: 0, dataSizeOut: 0, dataIn: 0, dataOut: 0,
      repeatCount: 1)
    let result = lookup.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: 0, as: UInt64.self)
      attributes.contextIn = UInt64(UnsafeRawPointer(bytes.baseAddress))
      attributes.contextSizeIn = UInt32(bytes.count)
      attributes.contextOut = attributes.contextIn
      attributes.contextSizeOut = attributes.contextSizeIn
      return Command.programTestRun(&attributes)
    }
    guard result >= 0 else { throw .failed("BPF_PROG_TEST_RUN", errno: Int32(-result)) }
    // The kernel gives back the cookie of the socket that was assigned.
    return (attributes.returnValue, lookup.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } != 0)
  }
}
