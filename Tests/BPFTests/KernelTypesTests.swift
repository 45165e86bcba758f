import Testing

@testable import BPF

@Suite("Types of the running kernel") struct KernelTypesTests {
  static let types = Result { try KernelTypes() }

  @Test("Functions are found by their whole name")
  func functions() throws {
    let types = try Self.types.get()
    #expect(types.hasFunction("bpf_prog_test_run_skb"))
    #expect(!types.hasFunction("bpf_prog_test_run_sk"))
    #expect(!types.hasFunction("bpf_prog_test_run_skbb"))
    #expect(!types.hasFunction("no_such_function_at_all"))
    // A struct is no function.
    #expect(!types.hasFunction("sk_buff"))
  }

  @Test("Members of anonymous structs and unions, and bit fields, are found")
  func members() throws {
    let types = try Self.types.get()
    #expect(try types.member("next", of: "sk_buff") == .init(offset_bits: 0, bitFieldSize_bits: 0))
    let checksum = try types.member("ip_summed", of: "sk_buff")
    #expect(checksum.bitFieldSize_bits == 2)
    #expect(checksum.offset_bits > 64 * 8)
    let length = try types.member("len", of: "sk_buff")
    #expect(length.bitFieldSize_bits == 0 && length.offset_bits % 32 == 0)
    #expect(try types.member("is_mptcp", of: "tcp_sock").offset_bits > 0)
    #expect(throws: BPFError.notFound(kind: "kernel structure member", name: "sk_buff.nothing")) {
      try types.member("nothing", of: "sk_buff")
    }
    #expect(throws: BPFError.notFound(kind: "kernel type", name: "no_such_struct")) {
      try types.member("a", of: "no_such_struct")
    }
  }

  @Test("BTF that is cut short is an error")
  func truncated() throws {
    let functions = [
      ProgramTypes.Function(name: "entry", isGlobal: true, takesContext: true),
      ProgramTypes.Function(name: "$other", isGlobal: false, takesContext: false),
    ]
    let bytes = ProgramTypes(functions: functions, strings: [0]).bytes
    let types = try KernelTypes(bytes)
    #expect(types.functionIdentifier("entry") == ProgramTypes.firstFunction)
    #expect(types.functionIdentifier("_other") == ProgramTypes.firstFunction + 1)
    for count in 0..<bytes.count {
      #expect(throws: BPFError.self) { try KernelTypes(Array(bytes.prefix(count))) }
    }
  }
}
