import BPFTestProgramObject
import Testing

@testable import BPF

@Suite("Object files") struct ObjectFileTests {
  @Test("The programs are the global functions of program sections, by the names @c gave them")
  func programs() throws {
    let object = try testObject.get()
    #expect(
      Set(object.programs.map(\.name)) == [
        "counts", "verdict", "interface_index", "reports", "loops", "calls", "kernel_length", "arena", "doubles",
        "careless", "traps",
      ])
    #expect(object.programs.allSatisfy { $0.type == .schedulerClassifier })
    #expect(throws: BPFError.notFound(kind: "program", name: "missing")) { try object.program("missing") }
  }

  @Test("The maps have the Swift identifiers and the five words of their definitions")
  func maps() throws {
    let maps = Dictionary(uniqueKeysWithValues: try testObject.get().maps.map { ($0.name, $0) })
    #expect(Set(maps.keys) == ["lengthsMap", "recentMap", "tableMap", "countersMap", "eventsMap", "arenaMap"])
    let expected = MapDefinition(
      name: "tableMap", type: .array, keySize: 4, valueSize: 12, maxEntries: 4, flags: [])
    #expect(maps["tableMap"] == expected)
    #expect(maps["recentMap"]?.type == .lruHash)
    #expect(maps["arenaMap"]?.flags == .mappable)
  }

  @Test("Variables are constant or not by their section, and have their sizes")
  func variables() throws {
    let variables = Dictionary(uniqueKeysWithValues: try testObject.get().variables.map { ($0.name, $0) })
    #expect(variables["verdictConstant"]?.isConstant == true)
    #expect(variables["lengthOffset"]?.size == 8)
    #expect(variables["runs"]?.isConstant == false)
    let offsets = variables.values.filter(\.isConstant).map(\.offset)
    #expect(Set(offsets).count == offsets.count)
  }

  @Test("A program takes along what it reaches and nothing else")
  func reachability() throws {
    let object = try testObject.get()
    let calls = try LinkedProgram(try object.program("calls"), of: object, .test)
    #expect(calls.functions.map(\.type.name) == ["calls", "double", "addOne"])
    let verdict = try LinkedProgram(try object.program("verdict"), of: object, .test)
    #expect(verdict.functions.map(\.type.name) == ["verdict"])
    #expect(object.functions.contains { $0.symbol == "_swift_exceptionPersonality" })
  }

  @Test("Every line record names a file of the program and a line")
  func lines() throws {
    let object = try testObject.get()
    let program = try LinkedProgram(try object.program("counts"), of: object, .test)
    // The first call is bpf_map_lookup_elem, in a function of another file that was inlined.
    let call = try #require(program.instructions.firstIndex { $0.opcode == Instruction.call })
    let source = try #require(program.source(of: call))
    #expect(source.file.hasSuffix("BPFTestProgram/Kernel/Helpers.swift"))
    #expect(source.line > 1)
    #expect(program.sources.contains { $0.file.hasSuffix("BPFTestProgram/Kernel/Programs.swift") })
    let starts = program.lineRecords.map(\.instruction)
    #expect(starts.first == 0)
    #expect(zip(starts, starts.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test("An object that is cut short is an error, wherever it is cut")
  func truncated() throws {
    let bytes = BPFTestProgramImage.bytes
    for count in 0..<bytes.count {
      do throws(BPFError) {
        _ = try ObjectFile(Array(bytes.prefix(count)))
        Issue.record("the first \(count) bytes are taken for an object")
      } catch .malformedObject(_) {
      } catch {
        Issue.record("the first \(count) bytes: \(error)")
      }
    }
  }

  @Test("Bytes that are changed at random are an object or an error, never a trap")
  func mutated() throws {
    var random = Xorshift(state: 0x9e37_79b9_7f4a_7c15)
    let original = BPFTestProgramImage.bytes
    var refused = 0
    for _ in 0..<1500 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        // The headers at both ends are where it matters; the middle is mostly code and strings.
        let index = Int.random(in: 0..<bytes.count, using: &random)
        bytes[index] = [0, 1, 0x7f, 0x80, 0xff, bytes[index] ^ 0x10].randomElement(using: &random) ?? 0
      }
      do throws(BPFError) {
        let object = try ObjectFile(bytes)
        for program in object.programs {
          do throws(BPFError) {
            _ = try LinkedProgram(program, of: object, .test)
          } catch {
            refused += 1
          }
        }
      } catch {
        refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test("An ELF file of another machine is an error that says so")
  func otherMachine() {
    var bytes = BPFTestProgramImage.bytes
    bytes[18] = 62
    #expect(throws: BPFError.malformedObject("not a relocatable little-endian ELF64 file for BPF")) {
      try ObjectFile(bytes)
    }
  }
}

extension LinkedProgram.Environment {
  /// Numbers for the descriptors and kernel functions of a kernel that is not asked.
  static let test = LinkedProgram.Environment(
    maps: Array(100..<200), constantData: 90, mutableData: 91,
    kernelFunctions: ["bpf_cast_to_kern_ctx": 7, LinkedProgram.trap: 8])
}

/// Marsaglia's xorshift64: the same numbers in every run.
struct Xorshift: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
