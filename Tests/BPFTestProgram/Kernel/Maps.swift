// Maps and constants of the test programs: type, key size, value size, entries, flags.

/// BPF_MAP_TYPE_HASH: packet length -> how many.
@section("maps") nonisolated(unsafe) var lengthsMap: MapDefinition = (1, 4, 8, 64, 0)
/// BPF_MAP_TYPE_LRU_HASH; @used keeps what no program refers to.
@section("maps") @used nonisolated(unsafe) var recentMap: MapDefinition = (9, 8, 8, 128, 0)
/// BPF_MAP_TYPE_ARRAY; 12 bytes a value, so that a stride of 16 shows.
@section("maps") @used nonisolated(unsafe) var tableMap: MapDefinition = (2, 4, 12, 4, 0)
/// BPF_MAP_TYPE_PERCPU_ARRAY: packets, nothing, bytes; 12 bytes, padded to 16 for each CPU.
@section("maps") nonisolated(unsafe) var countersMap: MapDefinition = (6, 4, 12, 2, 0)
/// BPF_MAP_TYPE_RINGBUF
@section("maps") nonisolated(unsafe) var eventsMap: MapDefinition = (27, 0, 0, 4096, 0)
/// BPF_MAP_TYPE_ARRAY with BPF_F_MMAPABLE; the loader sets the size.
@section("maps") nonisolated(unsafe) var arenaMap: MapDefinition = (2, 4, 8, 1, 1024)

/// Constants the loader patches before the kernel freezes them.
@section(".rodata.constants") @used nonisolated(unsafe) var verdictConstant: Int32 = 7
@section(".rodata.constants") @used nonisolated(unsafe) var lengthOffset: UInt64 = 0
@section(".rodata.constants") @used nonisolated(unsafe) var trapArmed: UInt32 = 1

/// A variable in .bss or .data, counted up by `counts`.
@used nonisolated(unsafe) var runs: UInt64 = 40
