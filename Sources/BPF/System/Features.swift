import Glibc

/// What the running kernel, and this process in it, can do. Each probe asks the kernel and leaves nothing behind.
public enum Features {
  /// Whether this process may make maps; throws `missingPrivilege` or `missingFeature` if not.
  public static func requireSystemCall() throws(BPFError) {
    _ = try MapHandle(
      creating: MapDefinition(name: "probe", type: .array, keySize: 4, valueSize: 4, maxEntries: 1, flags: []))
  }

  /// Whether this process may load programs for `tc`; throws `missingPrivilege` or `missingFeature` if not.
  public static func requireProgramLoading() throws(BPFError) {
    // `r0 = 0; exit`
    let code = [
      Instruction(opcode: 0xb7, registers: 0, offset: 0, immediate: 0),
      Instruction(opcode: 0x95, registers: 0, offset: 0, immediate: 0),
    ]
    let license: [UInt8] = [0]
    let result = code.withUnsafeBytes { code in
      license.withUnsafeBytes { license in
        Command.programLoad(
          ProgramLoadAttributes(
            programType: ProgramType.schedulerClassifier.rawValue, instructionCount: 2,
            instructions: UInt64(code.baseAddress), license: UInt64(license.baseAddress), logLevel: 0, logSize: 0,
            logBuffer: 0, name: objectName("probe")))
      }
    }
    guard result >= 0 else { throw .failed("BPF_PROG_LOAD", errno: Int32(-result)) }
    _ = Descriptor(Int32(result))
  }

  /// Links to the tcx hook of devices (since Linux 6.6). Asks loopback by default; the answer is false also where the
  /// process may not ask (CAP_NET_ADMIN).
  public static func hasTCX(interfaceIndex: UInt32 = 1) -> Bool {
    let result = Command.programQuery(
      ProgramQueryAttributes(interfaceIndex: interfaceIndex, attachType: AttachType.tcxIngress))
    return result >= 0
  }

  /// Ring buffers (since Linux 5.8); false also where the process may not make maps.
  public static var hasRingBuffer: Bool {
    let size = UInt32(MemoryMapping.pageSize)
    let definition = MapDefinition(
      name: "probe", type: .ringBuffer, keySize: 0, valueSize: 0, maxEntries: size, flags: [])
    return (try? MapHandle(creating: definition)) != nil
  }

  /// Whether programs are compiled to machine code: /proc/sys/net/core/bpf_jit_enable is not 0. Nil if it cannot be
  /// read; a kernel built with CONFIG_BPF_JIT_ALWAYS_ON says 1.
  public static var isCompiled: Bool? {
    guard let bytes = contents(ofFile: "/proc/sys/net/core/bpf_jit_enable"), let first = bytes.first else { return nil }
    return first != UInt8(ascii: "0")
  }
}

/// Run time statistics of all programs (BPF_ENABLE_STATS): on as long as a value of this type lives. They cost every
/// run of a program some 20 to 30 ns.
public struct RunTimeStatistics: ~Copyable, Sendable {
  private let descriptor: Descriptor

  public init() throws(BPFError) {
    let result = Command.enableStatistics()
    guard result >= 0 else { throw .failed("BPF_ENABLE_STATS", errno: Int32(-result)) }
    descriptor = Descriptor(Int32(result))
  }
}
