/// The BTF of one program: as little as the kernel demands. The types a compiler writes for Swift are not loadable
/// (names such as `$es6UInt32V`), so every function gets the type `int ()`; the compiler's strings stay, because
/// the line records refer to them.
struct ProgramTypes {
  /// What BPF_BTF_LOAD takes: header, types, strings.
  let bytes: [UInt8]

  /// The identifier of the first function's type; those of the others follow.
  static let firstFunction: UInt32 = 3

  /// BTF_KIND_… << 24, as in btf_type.info.
  private static let integer: UInt32 = 1 << 24
  private static let function: UInt32 = 12 << 24
  private static let functionPrototype: UInt32 = 13 << 24

  /// - Parameter functions: names, the program's entry first, which is global. The kernel verifies a global function by
  ///   itself, a static one where it is called, and takes only static ones as callbacks.
  init(functions: [(name: String, isGlobal: Bool)], strings: [UInt8]) {
    var strings = strings
    func offset(of name: String) -> UInt32 {
      let offset = UInt32(strings.count)
      strings += name.utf8
      strings.append(0)
      return offset
    }
    // [1] INT `int`: 4 bytes, encoding 1 (signed), 32 bits. [2] FUNC_PROTO: returns [1].
    var types: [UInt32] = [offset(of: "int"), Self.integer, 4, 1 << 24 | 32]
    types += [0, Self.functionPrototype, 1]
    for (name, isGlobal) in functions {
      // BTF_FUNC_GLOBAL or BTF_FUNC_STATIC
      types += [offset(of: kernelIdentifier(name)), Self.function | (isGlobal ? 1 : 0), 2]
    }
    let typeSize = UInt32(types.count * 4)
    // struct btf_header: magic, version 1, size; offset and size of the types, then of the strings.
    let header: [UInt32] = [0x0001_eb9f, 24, 0, typeSize, typeSize, UInt32(strings.count)]
    var bytes: [UInt8] = []
    for word in header + types { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
    self.bytes = bytes + strings
  }
}
