import BPF

extension LoadOptions {
  /// What every program that uses BPFKernel must be told of the running kernel: where fields of `struct sk_buff` and of
  /// `struct tcp_sock` are.
  public static func forSockets() throws(BPFError) -> LoadOptions {
    let types = try KernelTypes()
    let summed = try types.member("ip_summed", of: "sk_buff")
    var options = LoadOptions()
    options.setConstant("ipSummedOffset", to: UInt32(summed.offset_bytes))
    options.setConstant("ipSummedShift", to: UInt8(summed.offset_bits % 8))
    for (constant, member) in [("networkHeaderOffset", "network_header"), ("macHeaderOffset", "mac_header")] {
      options.setConstant(constant, to: UInt32(try types.member(member, of: "sk_buff").offset_bytes))
    }
    // A kernel without MPTCP has no such member, and no such listener.
    let multipath = try? types.member("is_mptcp", of: "tcp_sock")
    options.setConstant("isMPTCPOffset", to: UInt32(multipath?.offset_bytes ?? 0))
    return options
  }
}
