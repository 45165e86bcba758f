import CBPF
import Glibc

/// bpf(2), one function for each command (enum bpf_cmd). None of them throws: each returns what the system call
/// does, or the negative errno, and the caller knows what that means.
enum Command {
  /// BPF_MAP_CREATE: a descriptor.
  static func mapCreate(_ attributes: MapCreateAttributes) -> Int { call(0, attributes) }
  /// BPF_MAP_LOOKUP_ELEM: copies the value of `key` to `value`.
  static func mapLookup(_ map: Int32, key: UnsafeRawPointer, value: UnsafeMutableRawPointer) -> Int {
    call(1, MapElementAttributes(mapDescriptor: UInt32(map), key: address(key), value: address(value)))
  }
  /// BPF_MAP_UPDATE_ELEM
  static func mapUpdate(_ map: Int32, key: UnsafeRawPointer, value: UnsafeRawPointer, flags: UInt64) -> Int {
    call(2, MapElementAttributes(mapDescriptor: UInt32(map), key: address(key), value: address(value), flags: flags))
  }
  /// BPF_MAP_DELETE_ELEM
  static func mapDelete(_ map: Int32, key: UnsafeRawPointer) -> Int {
    call(3, MapElementAttributes(mapDescriptor: UInt32(map), key: address(key)))
  }
  /// BPF_MAP_GET_NEXT_KEY: copies the key after `key`, or the first one after nil, to `next`.
  static func mapNextKey(_ map: Int32, after key: UnsafeRawPointer?, next: UnsafeMutableRawPointer) -> Int {
    call(4, MapElementAttributes(mapDescriptor: UInt32(map), key: address(key), value: address(next)))
  }
  /// BPF_PROG_LOAD: a descriptor.
  static func programLoad(_ attributes: ProgramLoadAttributes) -> Int {
    // The verifier gives up with EAGAIN when a signal is pending.
    for _ in 0..<5 {
      let result = call(5, attributes)
      if result != -Int(EAGAIN) { return result }
    }
    return call(5, attributes)
  }
  /// BPF_PROG_TEST_RUN
  static func programTestRun(_ attributes: inout TestRunAttributes) -> Int { call(10, &attributes) }
  /// BPF_PROG_GET_FD_BY_ID: a descriptor.
  static func programDescriptor(_ attributes: ProgramDescriptorAttributes) -> Int { call(13, attributes) }
  /// BPF_OBJ_GET_INFO_BY_FD
  static func objectInfo(_ attributes: ObjectInfoAttributes) -> Int { call(15, attributes) }
  /// BPF_PROG_QUERY
  static func programQuery(_ attributes: ProgramQueryAttributes) -> Int { call(16, attributes) }
  /// BPF_PROG_QUERY, which tells how many programs there are.
  static func programQuery(_ attributes: inout ProgramQueryAttributes) -> Int { call(16, &attributes) }
  /// BPF_BTF_LOAD: a descriptor.
  static func typesLoad(_ attributes: TypesLoadAttributes) -> Int { call(18, attributes) }
  /// BPF_MAP_FREEZE: from now on no system call changes the map.
  static func mapFreeze(_ map: Int32) -> Int { call(22, MapElementAttributes(mapDescriptor: UInt32(map))) }
  /// BPF_MAP_LOOKUP_BATCH
  static func mapLookupBatch(_ attributes: inout MapBatchAttributes) -> Int { call(24, &attributes) }
  /// BPF_LINK_CREATE: a descriptor.
  static func linkCreate(_ attributes: LinkCreateAttributes) -> Int { call(28, attributes) }
  /// BPF_ENABLE_STATS: a descriptor; closing it ends the statistics.
  static func enableStatistics() -> Int { call(32, EnableStatisticsAttributes()) }

  private static func call<Attributes: BitwiseCopyable>(_ command: Int32, _ attributes: Attributes) -> Int {
    var attributes = attributes
    return call(command, &attributes)
  }

  private static func call<Attributes: BitwiseCopyable>(_ command: Int32, _ attributes: inout Attributes) -> Int {
    withUnsafeMutableBytes(of: &attributes) { cbpf_bpf(command, $0.baseAddress, UInt32($0.count)) }
  }

  private static func address(_ pointer: UnsafeRawPointer?) -> UInt64 { UInt64(UInt(bitPattern: pointer)) }
}

extension UInt64 {
  /// The address of a buffer, as bpf(2) takes it.
  init(_ pointer: UnsafeRawPointer?) { self = UInt64(UInt(bitPattern: pointer)) }
}

/// A name as the kernel takes it (bpf_obj_name_cpy): letters, digits, `_` and `.`, at most 15 of them.
func objectName(_ name: String) -> ObjectName {
  var result: ObjectName = (0, 0, 0, 0)
  withUnsafeMutableBytes(of: &result) { buffer in
    for (index, byte) in kernelIdentifier(name).utf8.prefix(15).enumerated() { buffer[index] = byte }
  }
  return result
}

/// `name` with `_` for what the kernel does not allow in the name of a function, map or program.
func kernelIdentifier(_ name: String) -> String {
  let bytes = name.utf8.map { byte -> UInt8 in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
      byte
    default: UInt8(ascii: "_")
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}
