/// The BTF of one program: as little as the kernel demands. The types a compiler writes for Swift are not loadable
/// (names such as `$es6UInt32V`), so every function gets the type `int ()`, or `int (struct __sk_buff *)`; the
/// compiler's strings stay, because the line records refer to them.
struct ProgramTypes {
  struct Function {
    var name: String
    /// The kernel verifies a global function by itself, a static one where it is called, and takes only static ones as
    /// callbacks.
    var isGlobal: Bool
    /// It is given the program's context.
    var takesContext: Bool
  }

  /// What BPF_BTF_LOAD takes: header, types, strings.
  let bytes: [UInt8]

  /// The identifier of the first function's type; those of the others follow.
  static let firstFunction: UInt32 = 6

  /// BTF_KIND_… << 24, as in btf_type.info.
  private static let integer: UInt32 = 1 << 24
  private static let function: UInt32 = 12 << 24
  private static let functionPrototype: UInt32 = 13 << 24
  private static let pointer: UInt32 = 2 << 24
  private static let structure: UInt32 = 4 << 24

  /// - Parameter functions: the program's entry first, which is global.
  init(functions: [Function], strings: [UInt8]) {
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
    // [3] STRUCT without members: the kernel goes by its name (btf_is_prog_ctx_type). [4] PTR to it. [5] FUNC_PROTO with
    // a parameter of that type.
    types += [offset(of: "__sk_buff"), Self.structure, 0, 0, Self.pointer, 3]
    types += [0, Self.functionPrototype | 1, 1, offset(of: "context"), 4]
    for function in functions {
      // BTF_FUNC_GLOBAL or BTF_FUNC_STATIC
      types += [
        offset(of: kernelIdentifier(function.name)), Self.function | (function.isGlobal ? 1 : 0),
        function.takesContext ? 5 : 2,
      ]
    }
    let typeSize = UInt32(types.count * 4)
    // struct btf_header: magic, version 1, size; offset and size of the types, then of the strings.
    let header: [UInt32] = [0x0001_eb9f, 24, 0, typeSize, typeSize, UInt32(strings.count)]
    var bytes: [UInt8] = []
    for word in header + types { withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) } }
    self.bytes = bytes + strings
  }
}
