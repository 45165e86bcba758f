import Testing

@testable import BPF

@Suite("Layout of bpf_attr") struct AttributeLayoutTests {
  // The offsets are those of include/uapi/linux/bpf.h, from which there is no compiler to take them.
  @Test("Fields stand where the kernel looks for them")
  func offsets() {
    #expect(MemoryLayout<MapCreateAttributes>.offset(of: \.name) == 28)
    #expect(MemoryLayout<MapElementAttributes>.offset(of: \.flags) == 24)
    #expect(MemoryLayout<MapBatchAttributes>.offset(of: \.mapDescriptor) == 36)
    #expect(MemoryLayout<MapBatchAttributes>.offset(of: \.flags) == 48)
    #expect(MemoryLayout<ProgramLoadAttributes>.offset(of: \.logBuffer) == 32)
    #expect(MemoryLayout<ProgramLoadAttributes>.offset(of: \.name) == 48)
    #expect(MemoryLayout<ProgramLoadAttributes>.offset(of: \.typesDescriptor) == 72)
    #expect(MemoryLayout<ProgramLoadAttributes>.offset(of: \.lineRecords) == 96)
    #expect(MemoryLayout<TypesLoadAttributes>.offset(of: \.size) == 16)
    #expect(MemoryLayout<TestRunAttributes>.offset(of: \.dataIn) == 16)
    #expect(MemoryLayout<TestRunAttributes>.offset(of: \.contextIn) == 48)
    #expect(MemoryLayout<ProgramInfo>.offset(of: \.name) == 64)
    #expect(MemoryLayout<ProgramInfo>.offset(of: \.runTime_ns) == 192)
    #expect(MemoryLayout<ProgramInfo>.offset(of: \.verifiedInstructions) == 216)
    #expect(MemoryLayout<LinkedProgram.LineRecord>.stride == 16)
    #expect(MemoryLayout<Instruction>.stride == 8)
  }

  @Test("Names are cut to 15 bytes that the kernel allows")
  func names() {
    let name = objectName("$connections-Map.long")
    #expect(withUnsafeBytes(of: name) { Array($0) } == Array("_connections_Ma\0".utf8))
  }

  @Test("An error of privilege is told from other errors")
  func errors() {
    #expect(
      BPFError.failed("BPF_MAP_CREATE", errno: 1)
        == .missingPrivilege(operation: "BPF_MAP_CREATE", hint: BPFError.privilegeHint))
    #expect(BPFError.failed("BPF_MAP_CREATE", errno: 7) == .systemCall(name: "BPF_MAP_CREATE", errno: 7))
    #expect(BPFError.failed("mmap", errno: 12).description == "mmap: Cannot allocate memory")
  }

  @Test("Lists of CPUs are counted", arguments: [("0\n", 1), ("0-1\n", 2), ("0-3,8,10-11\n", 7)])
  func possibleCPUs(_ list: String, _ count: Int) {
    #expect(PossibleCPUs.count(in: list) == count)
  }

  @Test("What is no list of CPUs has no count", arguments: ["", "x", "3-1", "1-2-3"])
  func noCPUs(_ list: String) {
    #expect(PossibleCPUs.count(in: list) == nil)
  }
}
