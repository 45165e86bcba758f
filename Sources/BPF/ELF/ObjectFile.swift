/// An eBPF object file, understood from its bytes alone: what it says is the same on every machine. What depends on
/// the running kernel happens in `LoadedObject`.
public struct ObjectFile: Sendable {
  /// The programs, in the order of the file. An entry is a global function in a section that names a program type.
  public private(set) var programs: [ProgramDefinition] = []
  /// The maps, in the order of the file.
  public private(set) var maps: [MapDefinition] = []
  /// Variables with static storage.
  public private(set) var variables: [VariableDefinition] = []

  var functions: [Function] = []
  /// All sections named .rodata…, one after the other; likewise .data… and .bss….
  var constantData: [UInt8] = []
  var mutableData: [UInt8] = []
  let lines: SourceLines

  public struct ProgramDefinition: Sendable {
    /// The entry's symbol, as given by `@c`.
    public let name: String
    public let type: ProgramType
    let function: Int
  }

  public struct VariableDefinition: Sendable {
    /// The Swift identifier.
    public let name: String
    /// In bytes.
    public let size: Int
    /// In .rodata…: the verifier knows its value.
    public let isConstant: Bool
    /// In `constantData` or `mutableData`.
    let offset: Int
  }

  /// A stretch of code that is called as a whole.
  struct Function: Sendable {
    let symbol: String
    let section: Int
    /// Bytes from the start of its section.
    let offset: UInt64
    /// A public function that is @used: the kernel verifies it once and by itself, not wherever it is called. It takes
    /// the packet's context or nothing, and returns a number. One of an imported module is weak: whoever imports it has
    /// one.
    let isGlobal: Bool
    var instructions: [Instruction]
    /// What the instructions refer to, by index of the instruction.
    var references: [Int: Reference] = [:]

    var name: String { SwiftSymbol.identifier(in: symbol) }
    /// Its one parameter is the context: `Sv` is UnsafeMutableRawPointer in Swift's mangling, `F` ends a function, and
    /// without a parameter a `y` stands in that place.
    var takesContext: Bool { isGlobal && symbol.hasSuffix("SvF") }
  }

  enum Reference: Sendable, Equatable {
    case map(Int)
    case constantData(offset: Int)
    case mutableData(offset: Int)
    /// A function's address, for a callback.
    case functionAddress(Int)
    case call(Int)
    case kernelCall(String)
    /// Something that cannot be loaded; an error only if the code is reached.
    case unsupported(String)
  }

  /// Parses the bytes of a relocatable ELF file as clang writes it for `-target bpfel`.
  public init(_ bytes: [UInt8]) throws(BPFError) {
    let elf = try ELFFile(bytes)
    lines = try SourceLines(elf)
    var layout = SectionLayout()
    try readMaps(elf, &layout)
    try readData(elf, &layout)
    try readFunctions(elf, &layout)
    try resolveReferences(elf, layout)
  }

  public func program(_ name: String) throws(BPFError) -> ProgramDefinition {
    guard let program = programs.first(where: { $0.name == name }) else {
      throw .notFound(kind: "program", name: name)
    }
    return program
  }
}

/// Kinds of programs, by the prefix of the section the entry is in.
public enum ProgramType: UInt32, Sendable {
  /// BPF_PROG_TYPE_SCHED_CLS, section `tc…` or `classifier…`.
  case schedulerClassifier = 3
  /// BPF_PROG_TYPE_XDP, section `xdp…`.
  case expressDataPath = 6
  /// BPF_PROG_TYPE_SK_LOOKUP, section `sk_lookup…`.
  case socketLookup = 30

  init?(section name: String) {
    switch name {
    case _ where name.hasPrefix("tc") || name.hasPrefix("classifier"): self = .schedulerClassifier
    case _ where name.hasPrefix("xdp"): self = .expressDataPath
    case _ where name.hasPrefix("sk_lookup"): self = .socketLookup
    default: return nil
    }
  }
}

// MARK: - Sections to definitions

/// Where the things of a section went, while an object is parsed.
struct SectionLayout {
  struct Place: Hashable {
    var section: Int
    var offset: UInt64
  }
  var maps: [Place: Int] = [:]
  var functions: [Place: Int] = [:]
  /// Offset of each data section in `constantData` or `mutableData`.
  var constantStart: [Int: Int] = [:]
  var mutableStart: [Int: Int] = [:]
}

extension ObjectFile {
  /// A section of data may claim any size without having the bytes; more than this is an error.
  static let maxDataSize = 64 << 20
  static let mapDefinitionSize: UInt64 = 20

  private mutating func readMaps(_ elf: ELFFile, _ layout: inout SectionLayout) throws(BPFError) {
    for symbol in elf.symbols where symbol.type == ELFFile.Symbol.object {
      guard elf.sections.indices.contains(symbol.section), elf.sections[symbol.section].name == "maps" else { continue }
      let name = SwiftSymbol.identifier(in: symbol.name)
      let section = elf.sections[symbol.section]
      guard symbol.size == Self.mapDefinitionSize, symbol.value <= section.size,
        section.size - symbol.value >= Self.mapDefinitionSize
      else { throw .malformedObject("the definition of map \(name) is not five words of 32 bits") }
      guard !maps.contains(where: { $0.name == name }) else { throw .malformedObject("two maps named \(name)") }
      let start = try elf.range(of: section).lowerBound + Int(symbol.value)
      var words: [UInt32] = []
      for index in 0..<5 { words.append(try elf.view.load(UInt32.self, at: start + index * 4, of: name)) }
      layout.maps[.init(section: symbol.section, offset: symbol.value)] = maps.count
      maps.append(
        MapDefinition(
          name: name, type: MapType(rawValue: words[0]), keySize: words[1], valueSize: words[2], maxEntries: words[3],
          flags: MapFlags(rawValue: words[4])))
    }
  }

  private mutating func readData(_ elf: ELFFile, _ layout: inout SectionLayout) throws(BPFError) {
    for (index, section) in elf.sections.enumerated() where section.isAllocated && !section.isExecutable {
      let name = section.name
      let isConstant = name.hasPrefix(".rodata")
      guard isConstant || name.hasPrefix(".data") || name.hasPrefix(".bss") else { continue }
      let alignment = Int(clamping: max(section.alignment, 1))
      let size = Int(clamping: section.size)
      guard alignment <= 4096, size <= Self.maxDataSize - constantData.count - mutableData.count - 4096 else {
        throw .malformedObject("\(name) is larger or more aligned than this library takes")
      }
      var content = [UInt8](repeating: 0, count: size)
      if section.type != ELFFile.Section.noBits { content = Array(elf.view.bytes[try elf.range(of: section)]) }
      if isConstant {
        layout.constantStart[index] = constantData.append(content, alignment: alignment)
      } else {
        layout.mutableStart[index] = mutableData.append(content, alignment: alignment)
      }
    }
    for symbol in elf.symbols where symbol.type == ELFFile.Symbol.object {
      let constantStart = layout.constantStart[symbol.section]
      guard let start = constantStart ?? layout.mutableStart[symbol.section] else { continue }
      let size = elf.sections[symbol.section].size
      guard symbol.value <= size, symbol.size <= size - symbol.value else {
        throw .malformedObject("variable \(symbol.name) ends beyond its section")
      }
      variables.append(
        VariableDefinition(
          name: SwiftSymbol.identifier(in: symbol.name), size: Int(symbol.size), isConstant: constantStart != nil,
          offset: start + Int(symbol.value)))
    }
  }

  private mutating func readFunctions(_ elf: ELFFile, _ layout: inout SectionLayout) throws(BPFError) {
    for symbol in elf.symbols where symbol.type == ELFFile.Symbol.function {
      guard symbol.section > 0, elf.sections.indices.contains(symbol.section),
        elf.sections[symbol.section].isExecutable
      else { continue }
      let section = elf.sections[symbol.section]
      let range = try elf.range(of: section)
      guard symbol.value % 8 == 0, symbol.size % 8 == 0, symbol.size > 0, symbol.value <= section.size,
        symbol.size <= section.size - symbol.value
      else { throw .malformedObject("function \(symbol.name) is not whole instructions of its section") }
      var code: [Instruction] = []
      for index in 0..<Int(symbol.size / 8) {
        code.append(try instruction(elf.view, at: range.lowerBound + Int(symbol.value) + index * 8))
      }
      let isEntry = symbol.binding == ELFFile.Symbol.global && !section.name.hasPrefix(".text")
      if isEntry, let type = ProgramType(section: section.name) {
        programs.append(ProgramDefinition(name: symbol.name, type: type, function: functions.count))
      }
      layout.functions[.init(section: symbol.section, offset: symbol.value)] = functions.count
      functions.append(
        Function(
          symbol: symbol.name, section: symbol.section, offset: symbol.value,
          isGlobal: symbol.binding == ELFFile.Symbol.weak
            || symbol.binding == ELFFile.Symbol.global && symbol.visibility != ELFFile.Symbol.hidden,
          instructions: code))
    }
  }

  private func instruction(_ view: ByteView, at offset: Int) throws(BPFError) -> Instruction {
    Instruction(
      opcode: try view.load(UInt8.self, at: offset, of: "code"),
      registers: try view.load(UInt8.self, at: offset + 1, of: "code"),
      offset: try view.load(Int16.self, at: offset + 2, of: "code"),
      immediate: try view.load(Int32.self, at: offset + 4, of: "code"))
  }
}

extension [UInt8] {
  /// Appends `content` at the next multiple of `alignment`, and returns where that is.
  fileprivate mutating func append(_ content: [UInt8], alignment: Int) -> Int {
    let start = (count + alignment - 1) / alignment * alignment
    append(contentsOf: repeatElement(0, count: start - count))
    append(contentsOf: content)
    return start
  }
}
