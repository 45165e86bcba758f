/// The sections, symbols and relocations of a relocatable 64-bit little-endian ELF file for machine BPF
/// (System V ABI, chapters 4 and 5; Linux Documentation/bpf/llvm_reloc.rst). Nothing is interpreted yet.
struct ELFFile: Sendable {
  let view: ByteView
  private(set) var sections: [Section] = []
  private(set) var symbols: [Symbol] = []
  /// By the index of the section they apply to.
  private(set) var relocations: [Int: [Relocation]] = [:]

  struct Section: Sendable {
    var name = ""
    var nameOffset: UInt32
    /// SHT_…
    var type: UInt32
    /// SHF_…
    var flags: UInt64
    var offset: UInt64
    var size: UInt64
    var link: UInt32
    var info: UInt32
    var alignment: UInt64

    static let symbolTable: UInt32 = 2
    static let noBits: UInt32 = 8
    static let relocations: UInt32 = 9

    var isAllocated: Bool { flags & 2 != 0 }
    var isExecutable: Bool { flags & 4 != 0 }
  }

  struct Symbol: Sendable {
    var name: String
    /// STT_… and STB_…
    var type: UInt8
    var binding: UInt8
    /// STV_…
    var visibility: UInt8
    /// Index of its section; 0 for an undefined symbol.
    var section: Int
    var value: UInt64
    var size: UInt64

    static let object: UInt8 = 1
    static let function: UInt8 = 2
    static let global: UInt8 = 1
    static let weak: UInt8 = 2
    /// STV_HIDDEN
    static let hidden: UInt8 = 2
  }

  struct Relocation: Sendable {
    /// Bytes from the start of the section it applies to.
    var offset: UInt64
    var symbol: Int
    var type: UInt32

    /// R_BPF_64_64: the 64-bit immediate of two instruction slots.
    static let wideImmediate: UInt32 = 1
    /// R_BPF_64_32: the immediate of a call.
    static let call: UInt32 = 10
  }

  init(_ bytes: [UInt8]) throws(BPFError) {
    view = ByteView(bytes: bytes)
    try readSections()
    try readSymbols()
    try readRelocations()
  }

  /// The bytes of a section that has any in the file.
  func range(of section: Section) throws(BPFError) -> Range<Int> {
    try view.range(at: section.offset, size: section.size, of: "section \(section.name)")
  }

  private mutating func readSections() throws(BPFError) {
    let header = "the ELF header"
    guard view.bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { throw .malformedObject("not an ELF file") }
    // ELFCLASS64, ELFDATA2LSB; ET_REL; EM_BPF.
    guard try view.load(UInt16.self, at: 4, of: header) == 0x0102,
      try view.load(UInt16.self, at: 16, of: header) == 1,
      try view.load(UInt16.self, at: 18, of: header) == 247
    else { throw .malformedObject("not a relocatable little-endian ELF64 file for BPF") }
    let count = Int(try view.load(UInt16.self, at: 60, of: header))
    let namesIndex = Int(try view.load(UInt16.self, at: 62, of: header))
    let size = UInt64(try view.load(UInt16.self, at: 58, of: header))
    guard size == 64 else { throw .malformedObject("section headers of \(size) bytes instead of 64") }
    let table = try view.range(
      at: try view.load(UInt64.self, at: 40, of: header), size: UInt64(count) * size, of: "the section header table")
    for index in 0..<count { sections.append(try section(at: table.lowerBound + index * 64)) }
    guard sections.indices.contains(namesIndex) else { throw .malformedObject("no table of section names") }
    let names = try range(of: sections[namesIndex])
    for index in sections.indices {
      sections[index].name = try view.string(
        at: names.lowerBound + Int(sections[index].nameOffset), before: names.upperBound, of: "a section's name")
    }
  }

  private func section(at offset: Int) throws(BPFError) -> Section {
    let what = "a section header"
    return Section(
      nameOffset: try view.load(UInt32.self, at: offset, of: what),
      type: try view.load(UInt32.self, at: offset + 4, of: what),
      flags: try view.load(UInt64.self, at: offset + 8, of: what),
      offset: try view.load(UInt64.self, at: offset + 24, of: what),
      size: try view.load(UInt64.self, at: offset + 32, of: what),
      link: try view.load(UInt32.self, at: offset + 40, of: what),
      info: try view.load(UInt32.self, at: offset + 44, of: what),
      alignment: try view.load(UInt64.self, at: offset + 48, of: what))
  }

  private mutating func readSymbols() throws(BPFError) {
    guard let table = sections.first(where: { $0.type == Section.symbolTable }) else {
      throw .malformedObject("no symbol table")
    }
    guard sections.indices.contains(Int(table.link)) else { throw .malformedObject("no table of symbol names") }
    let names = try range(of: sections[Int(table.link)])
    let range = try range(of: table)
    let what = "a symbol"
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: 24) {
      let info = try view.load(UInt8.self, at: offset + 4, of: what)
      let nameOffset = Int(try view.load(UInt32.self, at: offset, of: what))
      symbols.append(
        Symbol(
          name: try view.string(at: names.lowerBound + nameOffset, before: names.upperBound, of: "a symbol's name"),
          type: info & 15, binding: info >> 4,
          visibility: try view.load(UInt8.self, at: offset + 5, of: what) & 3,
          section: Int(try view.load(UInt16.self, at: offset + 6, of: what)),
          value: try view.load(UInt64.self, at: offset + 8, of: what),
          size: try view.load(UInt64.self, at: offset + 16, of: what)))
    }
  }

  private mutating func readRelocations() throws(BPFError) {
    for section in sections where section.type == Section.relocations {
      guard sections.indices.contains(Int(section.info)) else {
        throw .malformedObject("\(section.name) applies to no section")
      }
      let range = try range(of: section)
      for offset in stride(from: range.lowerBound, to: range.upperBound, by: 16) {
        let info = try view.load(UInt64.self, at: offset + 8, of: section.name)
        guard symbols.indices.contains(Int(info >> 32)) else {
          throw .malformedObject("\(section.name) refers to a symbol that does not exist")
        }
        relocations[Int(section.info), default: []].append(
          Relocation(
            offset: try view.load(UInt64.self, at: offset, of: section.name),
            symbol: Int(info >> 32), type: UInt32(truncatingIfNeeded: info)))
      }
    }
  }
}
