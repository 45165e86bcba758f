/// One 8-byte slot of eBPF code (RFC 9669, section 3).
struct Instruction: BitwiseCopyable, Equatable, Sendable {
  var opcode: UInt8
  /// Destination register in the lower, source register in the upper half.
  var registers: UInt8
  var offset: Int16
  var immediate: Int32

  /// `BPF_JMP | BPF_CALL`
  static let call: UInt8 = 0x85
  /// `BPF_LD | BPF_IMM | BPF_DW`: the first of two slots.
  static let loadWideImmediate: UInt8 = 0x18

  /// What the source register of a call or wide load says about the immediate (include/uapi/linux/bpf.h).
  enum Source: UInt8 {
    /// BPF_PSEUDO_MAP_FD, and BPF_PSEUDO_CALL of a call.
    case mapOrLocalCall = 1
    /// BPF_PSEUDO_MAP_VALUE, and BPF_PSEUDO_KFUNC_CALL of a call.
    case mapValueOrKernelCall = 2
    /// BPF_PSEUDO_FUNC
    case function = 4
  }

  var source: UInt8 {
    get { registers >> 4 }
    set { registers = registers & 15 | newValue << 4 }
  }
}
