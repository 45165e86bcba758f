// The members of `union bpf_attr` (include/uapi/linux/bpf.h), one struct for each command, as far as they are used.
// The kernel takes a shorter union than its own and treats the rest as zero. Fields stand at the kernel's offsets
// because Swift lays out such structs in order with natural alignment; the tests check those that matter.

/// A name of at most 15 bytes and its terminator.
typealias ObjectName = (UInt32, UInt32, UInt32, UInt32)

/// BPF_MAP_CREATE
struct MapCreateAttributes {
  var mapType: UInt32
  var keySize: UInt32
  var valueSize: UInt32
  var maxEntries: UInt32
  var mapFlags: UInt32
  var innerMapDescriptor: UInt32 = 0
  var numaNode: UInt32 = 0
  var name: ObjectName
}

/// BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY (`value` is next_key),
/// BPF_MAP_FREEZE
struct MapElementAttributes {
  var mapDescriptor: UInt32
  var reserved: UInt32 = 0
  var key: UInt64 = 0
  var value: UInt64 = 0
  var flags: UInt64 = 0
}

/// BPF_MAP_LOOKUP_BATCH
struct MapBatchAttributes {
  var inBatch: UInt64 = 0
  var outBatch: UInt64 = 0
  var keys: UInt64 = 0
  var values: UInt64 = 0
  /// In: room, out: entries copied.
  var count: UInt32 = 0
  var mapDescriptor: UInt32
  var elementFlags: UInt64 = 0
  var flags: UInt64 = 0
}

/// BPF_PROG_LOAD
struct ProgramLoadAttributes {
  var programType: UInt32
  var instructionCount: UInt32
  var instructions: UInt64
  var license: UInt64
  var logLevel: UInt32
  var logSize: UInt32
  var logBuffer: UInt64
  var kernelVersion: UInt32 = 0
  var flags: UInt32 = 0
  var name: ObjectName
  var interfaceIndex: UInt32 = 0
  var expectedAttachType: UInt32 = 0
  var typesDescriptor: UInt32 = 0
  var functionRecordSize: UInt32 = 0
  var functionRecords: UInt64 = 0
  var functionCount: UInt32 = 0
  var lineRecordSize: UInt32 = 0
  var lineRecords: UInt64 = 0
  var lineCount: UInt32 = 0
  var reserved: UInt32 = 0
}

/// BPF_BTF_LOAD
struct TypesLoadAttributes {
  var types: UInt64
  var logBuffer: UInt64 = 0
  var size: UInt32
  var logSize: UInt32 = 0
  var logLevel: UInt32 = 0
  var reserved: UInt32 = 0
}

/// BPF_PROG_TEST_RUN
struct TestRunAttributes {
  var programDescriptor: UInt32
  var returnValue: UInt32 = 0
  var dataSizeIn: UInt32
  /// In: room, out: the packet's size.
  var dataSizeOut: UInt32
  var dataIn: UInt64
  var dataOut: UInt64
  var repeatCount: UInt32
  var duration_ns: UInt32 = 0
  var contextSizeIn: UInt32 = 0
  var contextSizeOut: UInt32 = 0
  var contextIn: UInt64 = 0
  var contextOut: UInt64 = 0
}

/// BPF_LINK_CREATE
struct LinkCreateAttributes {
  var programDescriptor: UInt32
  /// The index of an interface, or a descriptor.
  var target: UInt32
  var attachType: UInt32
  var flags: UInt32 = 0
}

/// BPF_PROG_QUERY
struct ProgramQueryAttributes {
  var interfaceIndex: UInt32
  var attachType: UInt32
  var queryFlags: UInt32 = 0
  var attachFlags: UInt32 = 0
  var programIdentifiers: UInt64 = 0
  var programCount: UInt32 = 0
  var reserved: UInt32 = 0
}

/// BPF_PROG_GET_FD_BY_ID
struct ProgramDescriptorAttributes {
  var identifier: UInt32
  var nextIdentifier: UInt32 = 0
  var openFlags: UInt32 = 0
}

/// BPF_OBJ_GET_INFO_BY_FD
struct ObjectInfoAttributes {
  var descriptor: UInt32
  var infoSize: UInt32
  var info: UInt64
}

/// BPF_ENABLE_STATS; type 0 is BPF_STATS_RUN_TIME.
struct EnableStatisticsAttributes {
  var type: UInt32 = 0
}

/// struct bpf_prog_info up to verified_insns; 224 bytes. Pointers left at zero ask for nothing.
struct ProgramInfo {
  var type: UInt32 = 0
  var identifier: UInt32 = 0
  var tag: UInt64 = 0
  var jitedSize: UInt32 = 0
  var translatedSize: UInt32 = 0
  var unused24: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
  var name: ObjectName = (0, 0, 0, 0)
  var unused80: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
  var unused136: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
  var runTime_ns: UInt64 = 0
  var runCount: UInt64 = 0
  var recursionMisses: UInt64 = 0
  var verifiedInstructions: UInt32 = 0
  var attachTypesIdentifier: UInt32 = 0
}
