import Glibc

/// A program in the kernel. Copies are the same program; it is unloaded when the last one and all links are gone.
public struct Program: Sendable {
  public let name: String
  public let type: ProgramType
  /// What the verifier counted when it was loaded.
  public let statistics: LoadStatistics
  let descriptor: Descriptor

  public struct LoadStatistics: Sendable, Equatable {
    /// In the program as it was handed to the kernel.
    public let instructions: Int
    /// Instructions the verifier went through on all paths; the limit is a million.
    public let processedInstructions: Int?
    /// Of the deepest chain of calls, in bytes; the limit is 512.
    public let stackDepth_bytes: Int?
    /// How long the kernel took to verify and compile it.
    public let loadDuration: Duration
  }

  /// What the kernel counts while the program runs (BPF_OBJ_GET_INFO_BY_FD).
  public struct RunStatistics: Sendable, Equatable {
    /// Zero unless run time statistics are on: `RunTimeStatistics`.
    public let runTime_ns: UInt64
    public let runCount: UInt64
    /// Of the code, after the verifier's changes, in bytes.
    public let translatedSize_bytes: UInt32
    /// Of the machine code; 0 if there is no JIT compiler.
    public let jitedSize_bytes: UInt32
    /// As in `LoadStatistics.processedInstructions`.
    public let verifiedInstructions: UInt32
  }

  public func runStatistics() throws(BPFError) -> RunStatistics {
    var info = ProgramInfo()
    let result = withUnsafeMutableBytes(of: &info) {
      Command.objectInfo(
        ObjectInfoAttributes(
          descriptor: UInt32(descriptor.rawValue), infoSize: UInt32($0.count), info: UInt64($0.baseAddress)))
    }
    guard result >= 0 else { throw .failed("BPF_OBJ_GET_INFO_BY_FD", errno: Int32(-result)) }
    return RunStatistics(
      runTime_ns: info.runTime_ns, runCount: info.runCount, translatedSize_bytes: info.translatedSize,
      jitedSize_bytes: info.jitedSize, verifiedInstructions: info.verifiedInstructions)
  }
}

extension Program {
  /// BPF_LOG_LEVEL1 shows the way to a complaint, BPF_LOG_STATS the counts.
  private static let logPath: UInt32 = 1
  private static let logStatistics: UInt32 = 4
  /// Holds the statistics and the complaint.
  private static let shortLog_bytes = 64 << 10
  /// Holds the way to it. From Linux 6.4 on the log's end is kept when it is longer.
  private static let longLog_bytes = 16 << 20
  /// Kernel functions are only for programs with a GPL-compatible licence.
  private static let license = Array("Dual MIT/GPL\0".utf8)

  init(_ program: LinkedProgram) throws(BPFError) {
    let types = program.lines.records.isEmpty && program.functions.count == 1 ? nil : try Self.loadTypes(of: program)
    var log = [UInt8](repeating: 0, count: Self.shortLog_bytes)
    let clock = ContinuousClock()
    let start = clock.now
    let result = Self.load(program, types, &log, level: Self.logStatistics)
    let duration = clock.now - start
    guard result >= 0 else { throw Self.refusal(of: program, types, shortLog: log, errno: Int32(-result)) }
    let counted = VerifierLog(log)
    name = program.name
    type = program.type
    descriptor = Descriptor(Int32(result))
    statistics = LoadStatistics(
      instructions: program.instructions.count, processedInstructions: counted.processedInstructions,
      stackDepth_bytes: counted.stackDepths_bytes.map { program.deepestChain($0) }, loadDuration: duration)
  }

  private static func loadTypes(of program: LinkedProgram) throws(BPFError) -> Descriptor {
    let types = ProgramTypes(
      functions: program.functions.map(\.type), strings: program.lines.strings)
    let result = types.bytes.withUnsafeBytes {
      Command.typesLoad(TypesLoadAttributes(types: UInt64($0.baseAddress), size: UInt32($0.count)))
    }
    guard result >= 0 else { throw .failed("BPF_BTF_LOAD", errno: Int32(-result)) }
    return Descriptor(Int32(result))
  }

  /// BPF_PROG_LOAD: a descriptor or the negative errno.
  private static func load(
    _ program: LinkedProgram, _ types: Descriptor?, _ log: inout [UInt8], level: UInt32
  ) -> Int {
    let functions = program.functions.enumerated().map { index, function in
      LinkedProgram.FunctionRecord(
        instruction: UInt32(function.start), type: ProgramTypes.firstFunction + UInt32(index))
    }
    return program.instructions.withUnsafeBytes { instructions in
      functions.withUnsafeBytes { functionRecords in
        program.lineRecords.withUnsafeBytes { lineRecords in
          license.withUnsafeBytes { license in
            log.withUnsafeMutableBytes { log in
              var attributes = ProgramLoadAttributes(
                programType: program.type.rawValue, instructionCount: UInt32(program.instructions.count),
                instructions: UInt64(instructions.baseAddress), license: UInt64(license.baseAddress),
                logLevel: level, logSize: UInt32(log.count), logBuffer: UInt64(log.baseAddress),
                name: objectName(program.name), expectedAttachType: AttachType.expected(of: program.type))
              if let types {
                attributes.typesDescriptor = UInt32(types.rawValue)
                attributes.functionRecordSize = UInt32(MemoryLayout<LinkedProgram.FunctionRecord>.stride)
                attributes.functionRecords = UInt64(functionRecords.baseAddress)
                attributes.functionCount = UInt32(functions.count)
                attributes.lineRecordSize = UInt32(MemoryLayout<LinkedProgram.LineRecord>.stride)
                attributes.lineRecords = UInt64(lineRecords.baseAddress)
                attributes.lineCount = UInt32(program.lineRecords.count)
              }
              return Command.programLoad(attributes)
            }
          }
        }
      }
    }
  }

  /// Loads a refused program once more, to hear how the verifier got there.
  private static func refusal(
    of program: LinkedProgram, _ types: Descriptor?, shortLog: [UInt8], errno code: Int32
  ) -> BPFError {
    // Without a word it was not the verifier.
    guard shortLog.first != 0 else { return .failed("BPF_PROG_LOAD", errno: code) }
    var log = [UInt8](repeating: 0, count: longLog_bytes)
    let result = load(program, types, &log, level: logPath | logStatistics)
    if result >= 0 { _ = Descriptor(Int32(result)) }
    let summary = VerifierLog(shortLog)
    return .refused(
      VerifierRefusal(program: program, summary: summary, log: log.first == 0 ? summary : VerifierLog(log)))
  }
}
