/// An object in the kernel: its maps exist from the start, each of its programs from when it is first asked for.
///
/// Maps, programs and links that were taken from it live on by themselves.
public struct LoadedObject: ~Copyable, Sendable {
  public let object: ObjectFile
  private var maps: [String: MapHandle] = [:]
  private var programs: [String: Program] = [:]
  private(set) var environment = LinkedProgram.Environment(
    maps: [], constantData: -1, mutableData: -1, kernelFunctions: [:])
  private var data: [Descriptor] = []

  /// Makes the maps, with the sizes and constants of the options.
  public init(_ object: ObjectFile, options: LoadOptions = LoadOptions()) throws(BPFError) {
    self.object = object
    for name in options.mapSizes.keys where !object.maps.contains(where: { $0.name == name }) {
      throw .notFound(kind: "map", name: name)
    }
    for definition in object.maps {
      var definition = definition
      let size = options.mapSizes[definition.name]
      definition.valueSize = size?.valueSize ?? definition.valueSize
      definition.maxEntries = size?.maxEntries ?? definition.maxEntries
      let map = try MapHandle(creating: definition)
      environment.maps.append(map.descriptor.rawValue)
      maps[definition.name] = map
    }
    let constants = try Self.patched(object, options.constants)
    if !constants.isEmpty {
      let map = try Self.dataMap("rodata", constants, flags: .readOnlyForPrograms)
      // Only of a map that nothing can change does the verifier believe the contents.
      let result = Command.mapFreeze(map.rawValue)
      guard result >= 0 else { throw .failed("BPF_MAP_FREEZE", errno: Int32(-result)) }
      environment.constantData = map.rawValue
      data.append(map)
    }
    if !object.mutableData.isEmpty {
      let map = try Self.dataMap("data", object.mutableData, flags: [])
      environment.mutableData = map.rawValue
      data.append(map)
    }
  }

  /// Loads a program, or returns it if it has been loaded.
  public mutating func program(_ name: String) throws(BPFError) -> Program {
    if let program = programs[name] { return program }
    let definition = try object.program(name)
    let missing = LinkedProgram.kernelFunctions(of: definition, in: object).subtracting(
      environment.kernelFunctions.keys)
    if !missing.isEmpty {
      let types = try KernelTypes()
      for name in missing { environment.kernelFunctions[name] = types.functionIdentifier(name) }
    }
    let program = try Program(try LinkedProgram(definition, of: object, environment))
    programs[name] = program
    return program
  }

  /// The value of a variable in .data… or .bss….
  public func variable<Value: BitwiseCopyable>(_ name: String, as type: Value.Type) throws(BPFError) -> Value {
    let found = object.variables.filter { $0.name == name && !$0.isConstant }
    guard found.count == 1, let map = data.last else { throw .notFound(kind: "variable", name: name) }
    guard found[0].size == MemoryLayout<Value>.size else {
      throw .layoutMismatch(of: "variable \(name)", expected: found[0].size, actual: MemoryLayout<Value>.size)
    }
    var bytes = [UInt8](repeating: 0, count: object.mutableData.count)
    let result = withUnsafeBytes(of: UInt32(0)) { key in
      bytes.withUnsafeMutableBytes { Command.mapLookup(map.rawValue, key: key.baseAddress!, value: $0.baseAddress!) }
    }
    guard result >= 0 else { throw .failed("BPF_MAP_LOOKUP_ELEM", errno: Int32(-result)) }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: found[0].offset, as: Value.self) }
  }

  func map(_ name: String) throws(BPFError) -> MapHandle {
    guard let map = maps[name] else { throw .notFound(kind: "map", name: name) }
    return map
  }

  private static func patched(
    _ object: ObjectFile, _ constants: [String: [UInt8]]
  ) throws(BPFError) -> [UInt8] {
    var data = object.constantData
    for (name, value) in constants {
      let found = object.variables.filter { $0.name == name && $0.isConstant }
      guard found.count == 1 else {
        throw .notFound(kind: found.isEmpty ? "constant" : "single constant", name: name)
      }
      guard found[0].size == value.count else {
        throw .layoutMismatch(of: "constant \(name)", expected: found[0].size, actual: value.count)
      }
      data.replaceSubrange(found[0].offset..<found[0].offset + value.count, with: value)
    }
    return data
  }

  /// A section of data: an array with the one value `content`.
  private static func dataMap(_ name: String, _ content: [UInt8], flags: MapFlags) throws(BPFError) -> Descriptor {
    let map = try MapHandle(
      creating: MapDefinition(
        name: name, type: .array, keySize: 4, valueSize: UInt32(content.count), maxEntries: 1, flags: flags))
    let result = withUnsafeBytes(of: UInt32(0)) { key in
      content.withUnsafeBytes {
        Command.mapUpdate(map.descriptor.rawValue, key: key.baseAddress!, value: $0.baseAddress!, flags: 0)
      }
    }
    guard result >= 0 else { throw .failed("BPF_MAP_UPDATE_ELEM", errno: Int32(-result)) }
    return map.descriptor
  }
}
