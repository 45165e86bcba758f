import Testing

@testable import BPF

@Suite("The verifier's log") struct VerifierLogTests {
  static let refusal = VerifierLog(
    Array(
      """
      ; let x = c.length * 16 @ Program.swift:5
      0: (61) r0 = *(u32 *)(r1 +0)
      ; a @ b: c @ Other.swift:9
      ; let x = c.length * 16 @ Program.swift:5
      6: (26) if w0 > 0xff goto pc+6
      ;  @ Program.swift:0
      14: (85) call __bpf_trap#48051
      unexpected __bpf_trap() due to uninitialized variable?
      verification time 108 usec
      stack depth 8+0+16
      processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0

      """.utf8))

  @Test("The last complaint is not taken from the statistics")
  func complaint() {
    #expect(Self.refusal.complaint == "unexpected __bpf_trap() due to uninitialized variable?")
  }

  @Test("Remarks come in order, without repetitions and without those that have no line")
  func remarks() {
    let first = VerifierLog.Remark(text: "a @ b: c", place: .init(file: "Other.swift", line: 9))
    let second = VerifierLog.Remark(text: "let x = c.length * 16", place: .init(file: "Program.swift", line: 5))
    #expect(Self.refusal.remarks(8) == [first, second])
    #expect(Self.refusal.remarks(1) == [second])
    // So the log looks when the sources were not at hand while the object was made.
    let bare = VerifierLog(Array(";  @ Program.swift:7\n".utf8))
    #expect(bare.remarks(8) == [.init(text: "", place: .init(file: "Program.swift", line: 7))])
  }

  @Test("Swift's traps are explained")
  func hint() throws {
    let object = try testObject.get()
    let program = try LinkedProgram(try object.program("traps"), of: object, .test)
    let refusal = VerifierRefusal(program: program, summary: Self.refusal, log: Self.refusal)
    #expect(refusal.hint?.contains("overflow") == true)
    #expect(refusal.line == 5)
    #expect(refusal.description.hasSuffix("(at Program.swift:5)"))
  }

  @Test("Counts are read from the statistics")
  func counts() {
    #expect(Self.refusal.processedInstructions == 9)
    #expect(Self.refusal.stackDepths_bytes == [8, 0, 16])
    #expect(Self.refusal.verificationTime_us == 108)
    #expect(Self.refusal.lastInstruction == 14)
  }

  @Test("An empty log has neither complaint nor counts")
  func empty() {
    let log = VerifierLog([0, 0])
    #expect(log.complaint == nil)
    #expect(log.processedInstructions == nil)
    #expect(log.remarks(8).isEmpty)
  }

  @Test("Remarks without a place, as before Linux 6.9, are found by their text")
  func textOnly() throws {
    let object = try testObject.get()
    let program = try LinkedProgram(try object.program("traps"), of: object, .test)
    let log = VerifierLog(
      Array("; sum = sum * 16_777_216 + 1\n5: (26) if w0 > 0xff goto pc+3\n; \n9: (85) call unknown#1\nbad\n".utf8))
    let refusal = VerifierRefusal(program: program, summary: log, log: log)
    let place = try #require(program.sources.first { $0.text == "sum = sum * 16_777_216 + 1" })
    #expect(refusal.trail == [place])
  }

  @Test("Without any remark the line comes from the last instruction")
  func withoutRemarks() throws {
    let object = try testObject.get()
    let program = try LinkedProgram(try object.program("counts"), of: object, .test)
    let log = VerifierLog(Array("0: (bf) r6 = r1\n7: (85) call 1\nR1 type=scalar\n".utf8))
    let refusal = VerifierRefusal(program: program, summary: log, log: log)
    #expect(refusal.reason == "R1 type=scalar")
    #expect(refusal.trail == [try #require(program.source(of: 7))])
  }
}
