// What the code refers to: Linux Documentation/bpf/llvm_reloc.rst.

extension ObjectFile {
  mutating func resolveReferences(_ elf: ELFFile, _ layout: SectionLayout) throws(BPFError) {
    var relocations: [SectionLayout.Place: ELFFile.Relocation] = [:]
    for (section, list) in elf.relocations where elf.sections[section].isExecutable {
      for relocation in list { relocations[.init(section: section, offset: relocation.offset)] = relocation }
    }
    let resolver = Resolver(elf: elf, layout: layout)
    for index in functions.indices {
      let function = functions[index]
      var isSecondSlot = false
      for (position, instruction) in function.instructions.enumerated() {
        if isSecondSlot {
          isSecondSlot = false
          continue
        }
        isSecondSlot = instruction.opcode == Instruction.loadWideImmediate
        let place = SectionLayout.Place(section: function.section, offset: function.offset + UInt64(position) * 8)
        if let relocation = relocations[place] {
          functions[index].references[position] = resolver.reference(of: instruction, at: place, relocation)
        } else if instruction.opcode == Instruction.call,
          instruction.source == Instruction.Source.mapOrLocalCall.rawValue
        {
          // The assembler resolves calls within a section itself.
          functions[index].references[position] = resolver.localCall(instruction, at: place)
        }
      }
      guard !isSecondSlot else { throw .malformedObject("function \(function.symbol) ends within an instruction") }
    }
  }
}

/// Turns a relocation, or a call without one, into what it refers to. BPF relocations have no addend of their own:
/// it stands in the instruction.
private struct Resolver {
  let elf: ELFFile
  let layout: SectionLayout

  func reference(
    of instruction: Instruction, at place: SectionLayout.Place, _ relocation: ELFFile.Relocation
  ) -> ObjectFile.Reference {
    let symbol = elf.symbols[relocation.symbol]
    switch (relocation.type, instruction.opcode) {
    case (ELFFile.Relocation.wideImmediate, Instruction.loadWideImmediate):
      // The addend is in bytes.
      return addressed(symbol, symbol.value.addingReportingOverflow(UInt64(UInt32(bitPattern: instruction.immediate))))
    case (ELFFile.Relocation.call, Instruction.call):
      if symbol.section == 0 { return .kernelCall(symbol.name) }
      // The addend is in instructions, counted from the one after the call.
      return call(section: symbol.section, Int64(clamping: symbol.value / 8) + Int64(instruction.immediate) + 1)
    default:
      return .unsupported("relocation of type \(relocation.type) against \(symbol.name)")
    }
  }

  func localCall(_ instruction: Instruction, at place: SectionLayout.Place) -> ObjectFile.Reference {
    call(section: place.section, Int64(clamping: place.offset / 8) + Int64(instruction.immediate) + 1)
  }

  private func call(section: Int, _ target: Int64) -> ObjectFile.Reference {
    if let offset = UInt64(exactly: target), offset < UInt64(UInt32.max),
      let function = layout.functions[.init(section: section, offset: offset * 8)]
    {
      return .call(function)
    }
    return .unsupported("call to something that is not the start of a function")
  }

  private func addressed(
    _ symbol: ELFFile.Symbol, _ offset: (partialValue: UInt64, overflow: Bool)
  ) -> ObjectFile.Reference {
    let place = SectionLayout.Place(section: symbol.section, offset: offset.partialValue)
    if let map = layout.maps[place] { return .map(map) }
    if let function = layout.functions[place] { return .functionAddress(function) }
    if elf.sections.indices.contains(symbol.section), !offset.overflow,
      offset.partialValue <= elf.sections[symbol.section].size
    {
      let offset = Int(offset.partialValue)
      if let start = layout.constantStart[symbol.section] { return .constantData(offset: start + offset) }
      if let start = layout.mutableStart[symbol.section] { return .mutableData(offset: start + offset) }
    }
    return .unsupported("address of \(symbol.name.isEmpty ? "an unknown symbol" : symbol.name)")
  }
}
