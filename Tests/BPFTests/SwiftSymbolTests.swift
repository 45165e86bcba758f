import Testing

@testable import BPF

@Suite("Names of symbols") struct SwiftSymbolTests {
  @Test(
    "The identifier of a global, nested or word-substituted declaration is found",
    arguments: [
      ("$e1K8connsMaps6UInt32V4type_AD3keyAD5valueAD7entriesAD5flagstvp", "connsMap"),
      ("$e14BPFTestProgram4runss6UInt64Vvp", "runs"),
      // static var limit in enum Settings in struct Server
      ("$e6Kernel6ServerV8SettingsO5limits6UInt32VvpZ", "limit"),
      // func kernelServerMap of module KernelServer: `0`, literal `kernel`, word b with a capital (the last), `3Map`
      ("$e12KernelServer06kernelB3Maps5Int32Vvp", "kernelServerMap"),
      // words alone: `0`, words a and B, the end `0`
      ("$s8TestCase0aB0Sivp", "TestCase"),
      ("apus_ingress", "apus_ingress"),
      ("bpf_loop", "bpf_loop"),
    ])
  func identifier(_ symbol: String, _ identifier: String) {
    #expect(SwiftSymbol.identifier(in: symbol) == identifier)
  }

  @Test(
    "What is no proper mangled name stands for itself",
    arguments: ["", "$", "$e", "$e3", "$e3ab", "$e1K", "$e1K99999999999999999999999x", "$e1K0z", "$e1K00a", "$e0a1b"])
  func broken(_ symbol: String) {
    #expect(SwiftSymbol.identifier(in: symbol) == symbol)
  }
}
