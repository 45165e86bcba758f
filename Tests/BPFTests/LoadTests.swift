import Testing

@testable import BPF

@Suite("Loading", KernelTesting.trait) struct LoadTests {
  @Test("The verifier's counts come with a program")
  func statistics() throws {
    var loaded = try LoadedObject.testPrograms()
    let program = try loaded.program("counts")
    #expect(program.statistics.instructions > 20)
    #expect(try #require(program.statistics.processedInstructions) > 20)
    #expect(try #require(program.statistics.stackDepth_bytes) >= 8)
    #expect(program.statistics.loadDuration > .zero)
    let info = try program.runStatistics()
    #expect(Int(info.verifiedInstructions) == program.statistics.processedInstructions)
    #expect(info.translatedSize_bytes > 160)
  }

  @Test("Constants have the values of the options, else their own")
  func constants() throws {
    var plain = try LoadedObject.testPrograms()
    #expect(try plain.program("verdict").testRun(packet: testPacket).returnValue == 7)
    var patched = try LoadedObject.testPrograms { $0.setConstant("verdictConstant", to: Int32(1234)) }
    #expect(try patched.program("verdict").testRun(packet: testPacket).returnValue == 1234)
  }

  @Test("A constant that is not there, or has another size, is an error")
  func wrongConstants() {
    #expect(throws: BPFError.notFound(kind: "constant", name: "nothing")) {
      _ = try LoadedObject.testPrograms { $0.setConstant("nothing", to: Int32(1)) }
    }
    // `runs` is a variable.
    #expect(throws: BPFError.notFound(kind: "constant", name: "runs")) {
      _ = try LoadedObject.testPrograms { $0.setConstant("runs", to: UInt64(1)) }
    }
    #expect(throws: BPFError.layoutMismatch(of: "constant verdictConstant", expected: 4, actual: 8)) {
      _ = try LoadedObject.testPrograms { $0.setConstant("verdictConstant", to: UInt64(1)) }
    }
  }

  @Test("Variables begin with their initial value and keep what programs add")
  func variables() throws {
    var loaded = try LoadedObject.testPrograms()
    #expect(try loaded.variable("runs", as: UInt64.self) == 40)
    _ = try loaded.program("counts").testRun(packet: testPacket, repeat: 2)
    #expect(try loaded.variable("runs", as: UInt64.self) == 42)
  }

  @Test("A callback of bpf_loop and functions that are not inlined are linked in")
  func functions() throws {
    var loaded = try LoadedObject.testPrograms()
    #expect(try loaded.program("loops").testRun(packet: testPacket).returnValue == 4950)
    // double(n) = 2 (n² + 1), of n and n + 1; the test run's packet has its Ethernet header taken off and put back.
    let length = UInt32(testPacket.count)
    let expected = 2 * (length * length + 1) + 2 * ((length + 1) * (length + 1) + 1)
    #expect(try loaded.program("calls").testRun(packet: testPacket).returnValue == expected)
  }

  @Test("A kernel function is called, and reads where the kernel's types say")
  func kernelFunction() throws {
    let types = try KernelTypes()
    let offset = try types.member("len", of: "sk_buff").offset_bytes
    var loaded = try LoadedObject.testPrograms { $0.setConstant("lengthOffset", to: UInt64(offset)) }
    guard types.hasFunction("bpf_cast_to_kern_ctx") else {
      // Before Linux 6.2.
      #expect(throws: BPFError.self) { _ = try loaded.program("kernel_length") }
      return
    }
    #expect(try loaded.program("kernel_length").testRun(packet: testPacket).returnValue == UInt32(testPacket.count))
  }

  @Test("A test run gives back the packet, and takes the device it comes in by")
  func testRun() throws {
    var loaded = try LoadedObject.testPrograms()
    let run = try loaded.program("doubles").testRun(packet: testPacket)
    #expect(run.packet == [0x42] + testPacket.dropFirst())
    #expect(try loaded.program("interface_index").testRun(packet: testPacket, interfaceIndex: 1).returnValue == 1)
  }

  @Test("A program that reads beyond the packet is refused with reason, file and line")
  func refusal() throws {
    let refusal = try #require(
      Self.refusal {
        var loaded = try LoadedObject.testPrograms()
        _ = try loaded.program("careless")
      })
    #expect(refusal.program == "careless")
    #expect(refusal.reason == "R1 offset is outside of the packet")
    let file = try #require(refusal.file)
    #expect(file.hasSuffix("BPFTestProgram/Kernel/Programs.swift"))
    #expect(refusal.trail.last?.text == "return Int32(bytes[40])")
    #expect(refusal.log.contains("invalid access to packet, off=40 size=1"))
    #expect(refusal.description.hasPrefix("verifier refused careless: R1 offset is outside of the packet (at "))
  }

  /// The refusal that `body` throws.
  static func refusal(_ body: () throws -> Void) -> VerifierRefusal? {
    do {
      try body()
    } catch BPFError.refused(let refusal) {
      return refusal
    } catch {
      Issue.record("not refused: \(error)")
    }
    return nil
  }

  @Test("Code behind a constant that switches it off is not verified", arguments: [true, false])
  func trap(_ kernelHasTrap: Bool) throws {
    // The second time as on a kernel without __bpf_trap.
    func load(armed: UInt32) throws {
      let loaded = try LoadedObject.testPrograms { $0.setConstant("trapArmed", to: armed) }
      var environment = loaded.environment
      if kernelHasTrap {
        environment.kernelFunctions[LinkedProgram.trap] = try KernelTypes().functionIdentifier(LinkedProgram.trap)
      }
      let object = loaded.object
      let program = try Program(try LinkedProgram(try object.program("traps"), of: object, environment))
      #expect(try program.testRun(packet: testPacket).returnValue == UInt32(testPacket.count))
    }
    try load(armed: 0)
    let refusal = try #require(Self.refusal { try load(armed: 1) })
    let line = try #require(refusal.trail.last)
    #expect(line.text == "sum = sum * 16_777_216 + 1")
    #expect(refusal.hint?.contains("overflow") == true)
  }

  @Test("A kernel function that is missing is a missing feature, named")
  func missingKernelFunction() throws {
    let object = try testObject.get()
    var environment = LinkedProgram.Environment.test
    environment.kernelFunctions = [:]
    let error = #expect(throws: BPFError.self) {
      _ = try LinkedProgram(try object.program("kernel_length"), of: object, environment)
    }
    #expect(error?.description.contains("kernel function bpf_cast_to_kern_ctx") == true)
  }
}
