/// One program as the kernel takes it: the entry, then every function it reaches, with all references resolved.
struct LinkedProgram {
  let name: String
  let type: ProgramType
  private(set) var instructions: [Instruction] = []
  /// Type and first instruction of each function.
  private(set) var functions: [(type: ProgramTypes.Function, start: Int)] = []
  private(set) var lineRecords: [LineRecord] = []
  /// Which functions each function calls, as indices of `functions`.
  private var callees: [[Int]] = []
  let lines: SourceLines

  /// struct bpf_line_info
  struct LineRecord: BitwiseCopyable {
    var instruction: UInt32
    var file: UInt32
    var text: UInt32
    var position: UInt32
  }

  /// struct bpf_func_info
  struct FunctionRecord: BitwiseCopyable {
    var instruction: UInt32
    var type: UInt32
  }

  /// What references need of the running kernel.
  struct Environment {
    /// Descriptors of the object's maps.
    var maps: [Int32]
    var constantData: Int32
    var mutableData: Int32
    /// The BTF identifiers of the kernel functions the object calls, as far as this kernel has them.
    var kernelFunctions: [String: UInt32]
  }

  /// Swift's traps end up in this kernel function (since Linux 6.17).
  static let trap = "__bpf_trap"

  init(
    _ definition: ObjectFile.ProgramDefinition, of object: ObjectFile, _ environment: Environment
  ) throws(BPFError) {
    name = definition.name
    type = definition.type
    lines = object.lines
    let reachable = Self.reachable(from: definition.function, in: object)
    var starts: [Int: Int] = [:]
    var count = 0
    for index in reachable {
      starts[index] = count
      count += object.functions[index].instructions.count
    }
    for index in reachable {
      let function = object.functions[index]
      let start = instructions.count
      let isGlobal = index == definition.function || function.isGlobal
      functions.append((.init(name: function.name, isGlobal: isGlobal, takesContext: function.takesContext), start))
      instructions += function.instructions
      callees.append(
        function.references.values.compactMap { reference in
          guard case .call(let callee) = reference else { return nil }
          return reachable.firstIndex(of: callee)
        })
      for (position, reference) in function.references {
        try patch(start + position, reference, starts, environment)
      }
      appendLineRecords(of: function, start: start)
    }
  }

  /// The largest sum of `sizes`, one for each function, along a chain of calls from the entry. (There is no recursion:
  /// the kernel refuses it.)
  func deepestChain(_ sizes: [Int]) -> Int {
    func depth(_ function: Int) -> Int {
      sizes[function] + (callees[function].map(depth).max() ?? 0)
    }
    return sizes.count == functions.count ? depth(0) : sizes.max() ?? 0
  }

  /// The source line of an instruction: that of the nearest record before it that has a line.
  func source(of instruction: Int) -> SourceLine? {
    let record = lineRecords.last { $0.instruction <= UInt32(clamping: instruction) && $0.position >> 10 != 0 }
    return record.map { sourceLine($0) }
  }

  /// All source lines the program comes from.
  var sources: [SourceLine] {
    lineRecords.filter { $0.position >> 10 != 0 }.map { sourceLine($0) }
  }

  private func sourceLine(_ record: LineRecord) -> SourceLine {
    SourceLine(
      file: lines.string(at: record.file), line: Int(record.position >> 10),
      text: lines.string(at: record.text).trimmed)
  }

  /// The names of all kernel functions that the program may call.
  static func kernelFunctions(of definition: ObjectFile.ProgramDefinition, in object: ObjectFile) -> Set<String> {
    var names: Set<String> = []
    for index in reachable(from: definition.function, in: object) {
      for case .kernelCall(let name) in object.functions[index].references.values { names.insert(name) }
    }
    return names
  }

  /// The entry and what it reaches; functions nothing refers to, such as `_swift_exceptionPersonality`, stay behind.
  private static func reachable(from entry: Int, in object: ObjectFile) -> [Int] {
    var ordered = [entry]
    var seen: Set<Int> = [entry]
    var next = 0
    while next < ordered.count {
      for (_, reference) in object.functions[ordered[next]].references.sorted(by: { $0.key < $1.key }) {
        switch reference {
        case .call(let callee), .functionAddress(let callee):
          if seen.insert(callee).inserted { ordered.append(callee) }
        default: break
        }
      }
      next += 1
    }
    return ordered
  }

  private mutating func patch(
    _ position: Int, _ reference: ObjectFile.Reference, _ starts: [Int: Int], _ environment: Environment
  ) throws(BPFError) {
    func set(_ source: Instruction.Source, _ immediate: Int32, _ second: Int32? = nil) {
      instructions[position].source = source.rawValue
      instructions[position].immediate = immediate
      if let second { instructions[position + 1].immediate = second }
    }
    func distance(to function: Int) -> Int32 { Int32(clamping: (starts[function] ?? 0) - position - 1) }
    switch reference {
    case .map(let index): set(.mapOrLocalCall, environment.maps[index], 0)
    case .constantData(let offset): set(.mapValueOrKernelCall, environment.constantData, Int32(clamping: offset))
    case .mutableData(let offset): set(.mapValueOrKernelCall, environment.mutableData, Int32(clamping: offset))
    case .functionAddress(let function): set(.function, distance(to: function), 0)
    case .call(let function): set(.mapOrLocalCall, distance(to: function))
    case .kernelCall(let name):
      if let identifier = environment.kernelFunctions[name] {
        set(.mapValueOrKernelCall, Int32(bitPattern: identifier))
      } else if name == Self.trap {
        // A helper that does not exist: the verifier refuses the program only if it can get here, which is what
        // the newer kernels' trap means.
        instructions[position].source = 0
        instructions[position].immediate = Int32.max
      } else {
        throw .missingFeature(name: "kernel function \(name)", hint: "a newer kernel may have it")
      }
    case .unsupported(let what): throw .malformedObject("\(self.name) depends on a \(what)")
    }
  }

  /// The kernel wants records in strict order, none within a wide load, and one at the start of each function.
  private mutating func appendLineRecords(of function: ObjectFile.Function, start: Int) {
    guard !lines.records.isEmpty else { return }
    let all = lines.records[function.section] ?? []
    let end = function.offset + UInt64(function.instructions.count) * 8
    let own = all.filter { $0.offset >= function.offset && $0.offset < end && $0.offset % 8 == 0 }
    var previous = -1
    func append(_ index: Int, _ record: SourceLines.Record?) {
      lineRecords.append(
        LineRecord(
          instruction: UInt32(start + index), file: record?.file ?? 0, text: record?.text ?? 0,
          position: record?.position ?? 0))
      previous = index
    }
    if own.first?.offset != function.offset { append(0, own.first) }
    for record in own {
      let index = Int(record.offset - function.offset) / 8
      let isSecondSlot = index > 0 && function.instructions[index - 1].opcode == Instruction.loadWideImmediate
      if index > previous, !isSecondSlot { append(index, record) }
    }
  }
}
