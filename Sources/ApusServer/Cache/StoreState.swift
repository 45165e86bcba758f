import Contract

/// What the object store consists of, without its lock: records, index, dependencies, and what is on the way.
struct StoreState {
  struct Object {
    var key: ObjectKey
    var hash: UInt64
    /// Bytes from the start of the arena to the record.
    var offset: Int
    var recordBytes: Int
    var generation: UInt32
    var slot: Int
    /// `lastHit_s` when eviction last looked at the object: a later one is a hit not yet counted.
    var examinedHit_s: UInt32
    /// It says that there is nothing.
    var isNegative = false

    var bucket: UInt32 { IndexBucket.bucket(hash: hash) }
  }

  let memory: StoreMemory
  let pathSeed: UInt64
  let sketch: FrequencySketch
  let clock_ns: @Sendable () -> UInt64

  var allocator: ArenaAllocator
  /// Objects by the number of the fill that made them.
  private(set) var objects: [UInt64: Object] = [:]
  private var numbers: [ObjectKey: UInt64] = [:]
  /// Fills that may still be stored.
  private var fills: [UInt64: ObjectKey] = [:]
  var dependencies = DependencyTable()
  /// For each smallest block the object whose record begins there; 0 where there is none.
  private(set) var numberAtBlock: [UInt64]
  private var retired: RetiredRecords
  var negatives = NegativeObjects()
  private var nextNumber: UInt64 = 1
  private var nextGeneration: UInt32
  var statistics: StoreStatistics
  var random = SystemRandomNumberGenerator()

  init(
    memory: StoreMemory, pathSeed: UInt64, firstGeneration: UInt32, sketch: FrequencySketch,
    retention_ns: UInt64, clock_ns: @escaping @Sendable () -> UInt64
  ) {
    self.memory = memory
    self.pathSeed = pathSeed
    self.sketch = sketch
    self.clock_ns = clock_ns
    allocator = ArenaAllocator(byteCount: memory.arenaByteCount)
    numberAtBlock = Array(repeating: 0, count: memory.arenaByteCount / ArenaAllocator.blockBytesMin)
    nextGeneration = firstGeneration
    retired = RetiredRecords(retention_ns: retention_ns)
    statistics = StoreStatistics(budget: memory.arenaByteCount)
    for bucket in 0..<UInt32(Limits.indexBucketsMax) {
      for slot in 0..<IndexBucket.slotCount where load(bucket, slot) != 0 { store(0, bucket, slot) }
    }
  }

  // MARK: Fills

  mutating func begin(_ key: ObjectKey) -> UInt64 {
    defer { nextNumber += 1 }
    fills[nextNumber] = key
    return nextNumber
  }

  func isAlive(fill number: UInt64) -> Bool { fills[number] != nil }

  mutating func abandon(fill number: UInt64) {
    if fills.removeValue(forKey: number) != nil { dependencies.remove(number) }
  }

  mutating func commit(fill number: UInt64, _ record: Record, isNegative: Bool = false) throws(StoreRefusal) {
    guard let key = fills[number] else { throw .invalidated }
    if isNegative { try makeNegativeRoom(byteCount: record.byteCount) }
    let now_ns = clock_ns()
    releaseRetired(until: now_ns)
    guard let offset = allocator.allocate(byteCount: record.byteCount, now_ns: now_ns) else {
      // Old versions go before current ones.
      if releaseRetired(until: .max) == 0 { try makeRoom(byteCount: record.byteCount, hash: record.header.hash) }
      throw .noRoomYet(retryAfter_ms: Int(ArenaAllocator.quarantine_ns / 1_000_000) + 1)
    }
    fills.removeValue(forKey: number)
    let now_s = UInt32(truncatingIfNeeded: now_ns / 1_000_000_000)
    let generation = takeGeneration()
    record.write(to: memory.arena + offset, generation: generation, lastHit_s: now_s)
    let object = Object(
      key: key, hash: record.header.hash, offset: offset, recordBytes: record.byteCount, generation: generation,
      slot: 0, examinedHit_s: now_s, isNegative: isNegative)
    publish(object, number)
    statistics.insertions += 1
  }

  /// Even, and no other record has it: when the numbers have all been used the store starts afresh.
  private mutating func takeGeneration() -> UInt32 {
    if nextGeneration == 0 {
      removeAll()
      releaseRetired(until: .max)
      nextGeneration = 2
    }
    defer { nextGeneration &+= 2 }
    return nextGeneration
  }

  // MARK: Index

  /// Makes a written record visible with one 8-byte store, in the place of its predecessor if it has one.
  private mutating func publish(_ newObject: Object, _ number: UInt64) {
    var object = newObject
    let value = IndexBucket.slot(hash: object.hash, unit: UInt32(object.offset / Limits.recordAlignment))
    let predecessor = numbers[object.key]
    if let predecessor {
      object.slot = objects[predecessor]!.slot
    } else {
      object.slot = freeSlot(hash: object.hash)
    }
    store(value, object.bucket, object.slot)
    if let predecessor { retire(predecessor, keepsRecord: true) }
    objects[number] = object
    numbers[object.key] = number
    numberAtBlock[object.offset / ArenaAllocator.blockBytesMin] = number
    statistics.bytes += object.recordBytes
    if object.isNegative { negatives.append(number, byteCount: object.recordBytes) }
  }

  /// A slot of the bucket that is free, or becomes so: that of an object with the same upper half of the hash, so
  /// that no more than one slot ever matches a key, else that of the least recently hit one.
  private mutating func freeSlot(hash: UInt64) -> Int {
    let bucket = IndexBucket.bucket(hash: hash)
    var empty: Int?
    var oldest: (slot: Int, number: UInt64, hit_s: UInt32)?
    for slot in 0..<IndexBucket.slotCount {
      let value = load(bucket, slot)
      guard value != 0 else {
        if empty == nil { empty = slot }
        continue
      }
      let number = self.number(inSlot: value)
      if IndexBucket.matches(slot: value, hash: hash) {
        evict(number)
        return slot
      }
      let hit_s = lastHit_s(objects[number]!)
      if oldest == nil || hit_s < oldest!.hit_s { oldest = (slot, number, hit_s) }
    }
    if let empty { return empty }
    evict(oldest!.number)
    return oldest!.slot
  }

  private func number(inSlot value: UInt64) -> UInt64 {
    let offset = Int(value & 0xffff_ffff) * Limits.recordAlignment
    return numberAtBlock[offset / ArenaAllocator.blockBytesMin]
  }

  private func load(_ bucket: UInt32, _ slot: Int) -> UInt64 {
    memory.slot(bucket: bucket, slot).loadAtomicUInt64()
  }
  private func store(_ value: UInt64, _ bucket: UInt32, _ slot: Int) {
    memory.slot(bucket: bucket, slot).storeAtomic(value)
  }

  /// CLOCK_MONOTONIC seconds of the last answer; the kernel part writes it at any time.
  func lastHit_s(_ object: Object) -> UInt32 {
    (memory.arena + object.offset + StoreMemory.lastHitOffset).loadAtomicUInt32()
  }

  mutating func noteExamined(_ number: UInt64, hit_s: UInt32) {
    objects[number]?.examinedHit_s = hit_s
  }

  // MARK: Removal

  /// Whatever depends on the name, or, without one, on any of the directory.
  func dependents(of dependency: NameDependency) -> Set<UInt64> {
    guard let name = dependency.name else { return dependencies.dependents(directory: dependency.directory) }
    return dependencies.dependents(directory: dependency.directory, name: name)
  }

  /// Takes the object out of the index; no request finds it from now on.
  private mutating func discard(_ number: UInt64, keepsRecord: Bool) {
    guard let object = objects[number] else { return }
    store(0, object.bucket, object.slot)
    numbers.removeValue(forKey: object.key)
    retire(number, keepsRecord: keepsRecord)
  }

  /// Parts with an object the index no longer names. Its record stays for a while if it is kept: an answer made from it
  /// may have been lost, and is then repeated from the same bytes.
  private mutating func retire(_ number: UInt64, keepsRecord: Bool) {
    guard let object = objects.removeValue(forKey: number) else { return }
    numberAtBlock[object.offset / ArenaAllocator.blockBytesMin] = 0
    dependencies.remove(number)
    statistics.bytes -= object.recordBytes
    if object.isNegative { negatives.remove(byteCount: object.recordBytes) }
    let record = RetiredRecords.Entry(offset: object.offset, generation: object.generation, since_ns: clock_ns())
    if keepsRecord { retired.append(record) } else { release(record) }
  }

  /// Gives the blocks back of records that have been kept long enough at a time. Returns how many there were.
  @discardableResult
  mutating func releaseRetired(until now_ns: UInt64) -> Int {
    var count = 0
    while let record = retired.popFirst(until: now_ns) {
      release(record)
      count += 1
    }
    return count
  }

  /// Makes a record invalid, then gives its block back. The quarantine counts from now, when no new reader can come.
  private mutating func release(_ record: RetiredRecords.Entry) {
    Record.markInvalid(memory.arena + record.offset, generation: record.generation)
    allocator.release(offset: record.offset, now_ns: clock_ns())
  }

  mutating func evict(_ number: UInt64) {
    discard(number, keepsRecord: false)
    statistics.evictions += 1
  }

  /// Removes an object, or makes a fill dead.
  private mutating func invalidate(_ number: UInt64) -> Int {
    abandon(fill: number)
    guard objects[number] != nil else { return 0 }
    discard(number, keepsRecord: true)
    statistics.invalidations += 1
    return 1
  }

  /// Returns how many objects are gone; fills among them are dead as well.
  @discardableResult
  mutating func invalidate(_ numbers: some Sequence<UInt64>) -> Int {
    numbers.reduce(0) { $0 + invalidate($1) }
  }

  @discardableResult
  mutating func removeAll() -> Int { invalidate(Array(objects.keys) + Array(fills.keys)) }

  mutating func remove(where isDoomed: (ObjectKey) -> Bool) -> Int {
    let doomed = objects.filter { isDoomed($0.value.key) }.keys
    let deadFills = fills.filter { isDoomed($0.value) }.keys
    return invalidate(Array(doomed) + Array(deadFills))
  }

  mutating func remove(_ key: ObjectKey) -> Int {
    let deadFills = fills.filter { $0.value == key }.keys
    return invalidate(Array(deadFills) + (numbers[key].map { [$0] } ?? []))
  }

  func contains(_ key: ObjectKey) -> Bool { numbers[key] != nil }

  /// Whether there is an object of the key, or may soon be.
  func isKnown(_ key: ObjectKey) -> Bool { contains(key) || fills.values.contains(key) }

  func object(_ key: ObjectKey) -> Object? { numbers[key].flatMap { objects[$0] } }
}
