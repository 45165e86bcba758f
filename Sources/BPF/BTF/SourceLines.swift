/// Where instructions come from: the line records of .BTF.ext and the strings of .BTF they refer to
/// (Linux Documentation/bpf/btf.rst, sections 3 and 4).
struct SourceLines: Sendable {
  /// .BTF's string table, as the compiler wrote it; at least the empty string.
  private(set) var strings: [UInt8] = [0]
  /// By the index of the section of code, in order of offset.
  private(set) var records: [Int: [Record]] = [:]

  struct Record: Sendable, Equatable {
    /// Bytes from the start of the section.
    var offset: UInt64
    /// Offsets in `strings`.
    var file: UInt32
    var text: UInt32
    /// Line in the upper 22 bits, column in the lower 10.
    var position: UInt32

    var line: Int { Int(position >> 10) }
  }

  init(_ elf: ELFFile) throws(BPFError) {
    guard let types = elf.sections.first(where: { $0.name == ".BTF" }) else { return }
    let view = elf.view
    let range = try elf.range(of: types)
    let headerSize = UInt64(try view.load(UInt32.self, at: range.lowerBound + 4, of: ".BTF"))
    let start = UInt64(try view.load(UInt32.self, at: range.lowerBound + 16, of: ".BTF"))
    let size = UInt64(try view.load(UInt32.self, at: range.lowerBound + 20, of: ".BTF"))
    let table = try view.range(at: UInt64(range.lowerBound) + headerSize + start, size: size, of: ".BTF strings")
    guard table.upperBound <= range.upperBound, let first = table.first, view.bytes[first] == 0,
      view.bytes[table.upperBound - 1] == 0
    else { throw .malformedObject(".BTF has no proper table of strings") }
    strings = Array(view.bytes[table])
    if let index = elf.sections.firstIndex(where: { $0.name == ".BTF.ext" }) {
      try readRecords(elf, sectionIndex: index)
    }
  }

  /// The string at an offset; empty if there is none.
  func string(at offset: UInt32) -> String {
    guard offset < UInt32(strings.count) else { return "" }
    return String(decoding: strings[Int(offset)...].prefix { $0 != 0 }, as: UTF8.self)
  }

  private mutating func readRecords(_ elf: ELFFile, sectionIndex: Int) throws(BPFError) {
    let view = elf.view
    let what = ".BTF.ext"
    let range = try elf.range(of: elf.sections[sectionIndex])
    // Section names are not unique (each @used function has a section of its own, all named alike), but every
    // record's offset is relocated against the symbol of its section.
    var owners: [UInt64: Int] = [:]
    for relocation in elf.relocations[sectionIndex] ?? [] {
      owners[relocation.offset] = elf.symbols[relocation.symbol].section
    }
    let headerSize = Int(try view.load(UInt32.self, at: range.lowerBound + 4, of: what))
    let start = range.lowerBound + headerSize + Int(try view.load(UInt32.self, at: range.lowerBound + 16, of: what))
    let size = Int(try view.load(UInt32.self, at: range.lowerBound + 20, of: what))
    guard start <= range.upperBound, size <= range.upperBound - start else {
      throw .malformedObject("line information ends beyond .BTF.ext")
    }
    guard size > 0 else { return }
    let recordSize = Int(try view.load(UInt32.self, at: start, of: what))
    guard recordSize >= 16 else { throw .malformedObject("line records of \(recordSize) bytes") }
    var position = start + 4
    while position < start + size {
      let count = Int(try view.load(UInt32.self, at: position + 4, of: what))
      position += 8
      guard count <= (range.upperBound - position) / recordSize else {
        throw .malformedObject("line information ends beyond .BTF.ext")
      }
      for _ in 0..<count {
        if let owner = owners[UInt64(position - range.lowerBound)] {
          records[owner, default: []].append(try record(view, at: position))
        }
        position += recordSize
      }
    }
    for section in records.keys { records[section]?.sort { $0.offset < $1.offset } }
  }

  private func record(_ view: ByteView, at position: Int) throws(BPFError) -> Record {
    let what = ".BTF.ext"
    return Record(
      offset: UInt64(try view.load(UInt32.self, at: position, of: what)),
      file: try view.load(UInt32.self, at: position + 4, of: what),
      text: try view.load(UInt32.self, at: position + 8, of: what),
      position: try view.load(UInt32.self, at: position + 12, of: what))
  }
}
