import BPFKernel
import Contract
import HTTPHead
import KernelSockets
import Testing

@testable import KernelServer

/// The numbers in the map definitions against the types and limits they stand for.
extension KernelPart {
  @Suite struct Layouts {
    private func expect(
      _ map: MapDefinition, _ type: UInt32, key: Int, value: Int, entries: Int, flags: UInt32 = 0,
      _ location: SourceLocation = #_sourceLocation
    ) {
      #expect(map.type == type, sourceLocation: location)
      #expect(Int(map.keySize) == key && Int(map.valueSize) == value, sourceLocation: location)
      #expect(Int(map.entries) == entries && map.flags == flags, sourceLocation: location)
    }

    @Test("maps have the sizes of their keys and values") func maps() {
      let mappable = MapType.mappable
      expect(controlMap, MapType.array, key: 4, value: MemoryLayout<Control>.size, entries: 1, flags: mappable)
      expect(
        datesMap, MapType.array, key: 4, value: MemoryLayout<DateEntry>.size, entries: Limits.datesKept_s,
        flags: mappable)
      expect(
        indexMap, MapType.array, key: 4, value: IndexBucket.byteCount, entries: Limits.indexBucketsMax, flags: mappable)
      expect(
        connectionsMap, MapType.lruHash, key: MemoryLayout<FlowKey>.size, value: MemoryLayout<Connection>.size,
        entries: Limits.connectionsMax)
      expect(
        listenersMap, MapType.hash, key: MemoryLayout<ListenerKey>.size, value: MemoryLayout<Listener>.size,
        entries: Limits.listenersMax)
      expect(sitesMap, MapType.hash, key: MemoryLayout<HostKey>.size, value: 4, entries: Limits.sitesMax)
      for list in [allowedMap, deniedMap] {
        expect(
          list, MapType.prefixTrie, key: MemoryLayout<PrefixKey>.size, value: 4, entries: Limits.prefixesMax,
          flags: MapType.notPreallocated)
      }
      expect(
        routesMap, MapType.prefixTrie, key: MemoryLayout<RouteKey>.size, value: 4, entries: Limits.routesMax,
        flags: MapType.notPreallocated)
      expect(listenersBehindMap, MapType.socketMap, key: 4, value: 8, entries: 2)
      expect(interfacesMap, MapType.hash, key: 4, value: 4, entries: Limits.interfacesMax)
      expect(countersMap, MapType.perCPUArray, key: 4, value: 512, entries: 1)
      #expect(CounterLayout.count <= 64, "counters are at most 64 words")
      expect(missFilterMap, MapType.array, key: 4, value: 8, entries: Limits.missFilterEntries)
      expect(socketMemoryMap, MapType.perCPUArray, key: 4, value: SocketMemory.byteCount, entries: 1)
      expect(eventsMap, MapType.ringBuffer, key: 0, value: 0, entries: Limits.eventRingBytes)
      expect(accessEventsMap, MapType.ringBuffer, key: 0, value: 0, entries: Limits.accessRingBytes)
      #expect(arenaMap.type == MapType.array && arenaMap.flags == mappable && arenaMap.entries == 1)
    }

    @Test("types have the sizes the contract names") func types() {
      #expect(MemoryLayout<Control>.stride == 72 && MemoryLayout<DateEntry>.stride == 48)
      #expect(MemoryLayout<ListenerKey>.stride == 20 && MemoryLayout<Listener>.stride == 24)
      #expect(MemoryLayout<PrefixKey>.stride == 24 && MemoryLayout<PrefixKey>.offset(of: \.address) == 8)
      #expect(MemoryLayout<RouteKey>.stride == 36 && MemoryLayout<RouteKey>.offset(of: \.localAddress) == 4)
      #expect(MemoryLayout<HostKey>.stride == 64 && MemoryLayout<FlowKey>.stride == 36)
      #expect(MemoryLayout<FlowKey>.size == Int(SocketTuple.byteCountIPv6), "a flow is a struct bpf_sock_tuple of IPv6")
      for size in [20, 36] { #expect(size <= MemoryLayout<HostKey>.size, "keys are made in the place of the Host") }
      #expect(MemoryLayout<Connection>.stride == 64 && MemoryLayout<ObjectRecord>.stride == 40)
      #expect(ObjectRecord.byteCount == 40 && ObjectRecord.pathOffset == ObjectRecord.byteCount)
      #expect(MemoryLayout<StoredRepresentation>.size == StoredRepresentation.byteCount)
      #expect(MemoryLayout<AcceptEncodingEntry>.size == AcceptEncodingEntry.byteCount)
      #expect(ContentCoding.count == ContentCoding.allCases.count)
      #expect(MemoryLayout<ResponseVariant>.stride == 8 && MemoryLayout<MissEvent>.stride == MissEvent.hostOffset)
      #expect(
        MemoryLayout<SocketTuple>.size == Int(SocketTuple.byteCount) && MemoryLayout<RequestSocketAttributes>.size == 20
      )
    }

    @Test("fields are where the kernel part reads them") func offsets() {
      #expect(MemoryLayout<DateEntry>.offset(of: \.text) == DateEntry.textOffset)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.lastHit_s) == 4)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.hash) == 8)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.site) == 16)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.pathLength) == 18)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.flags) == 28)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.ageBase_s) == 32)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.representations) == 20)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.entriesOffset) == 30)
      #expect(MemoryLayout<ObjectRecord>.offset(of: \.entryCount) == 36)
      #expect(MemoryLayout<AcceptEncodingEntry>.offset(of: \.valueOffset) == 0)
      #expect(MemoryLayout<AcceptEncodingEntry>.offset(of: \.valueLength) == 2)
      #expect(MemoryLayout<AcceptEncodingEntry>.offset(of: \.place) == 4)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.variants) == 0)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.notModified) == VariantIndex.count * 8)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.bodyOffset) == 64)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.bodyLength) == 66)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.bodyChecksum) == 68)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.tagOffset) == 70)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.tagLength) == 72)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.lastModifiedOffset) == 74)
      #expect(MemoryLayout<StoredRepresentation>.offset(of: \.rules) == 76)
      #expect(MemoryLayout<Control>.offset(of: \.heartbeat_ns) == 0, "the heartbeat is stored as the first word")
      #expect(MissEvent.pathOffset - MissEvent.hostOffset == Limits.hostBytesMax + 1)
      #expect(MissEvent.byteCount - MissEvent.pathOffset == Limits.pathBytesMax + 1)
      #expect(MemoryLayout<Segment>.offset(of: \.flow) == 0, "a segment's address is its connection's key")
    }

    @Test("what lies in a CPU's memory does not overlap, and none of it outside")
    func memory() {
      let base = UnsafeMutableRawPointer(bitPattern: 1 << 20)!
      let memory = SocketMemory(base)
      func place(_ pointer: UnsafeMutableRawPointer, _ size: Int) -> Range<Int> {
        pointer - base..<pointer - base + size
      }
      let places: [(String, Range<Int>)] = [
        ("head", place(memory.head.base, HeadBuffer.byteCount)),
        ("hostKey", place(memory.hostKey, MemoryLayout<HostKey>.size)),
        ("missEvent", place(memory.missEvent, MissEvent.byteCount)),
        ("missSecond", place(memory.missSecond, 8)), ("missCount", place(memory.missCount, 4)),
        ("headLength", place(memory.headLength.place, 2)), ("bodyLength", place(memory.bodyLength.place, 2)),
        ("site", place(memory.site, 2)), ("objectUnit", place(memory.objectUnit, 4)),
        ("objectGeneration", place(memory.objectGeneration, 4)), ("reason", place(memory.reason, 4)),
        ("form", place(memory.form, 2)),
        ("what is the library's", SocketMemory.payloadRoom..<SocketMemory.serverOffset),
        ("sumPosition", place(memory.sumPosition, 4)), ("sumLeft", place(memory.sumLeft, 4)),
      ]
      for (index, (name, range)) in places.enumerated() {
        #expect(range.upperBound <= SocketMemory.byteCount - SocketMemory.frontRoom, "\(name)")
        for (other, otherRange) in places.dropFirst(index + 1) {
          #expect(!range.overlaps(otherRange), "\(name) and \(other)")
        }
      }
      #expect(HeadBuffer.byteCount <= SocketMemory.payloadRoom && Limits.headBytesMax == SocketMemory.payloadBytesMax)
      #expect(
        AccessEvent.byteCount <= SocketMemory.frontRoom && memory.accessEvent + AccessEvent.byteCount == memory.payload)
      // A form names a representation by its place divided by eight, in 12 bits.
      #expect(Limits.recordBytesMax <= 8 << 12)
    }

    @Test("powers of two, and an answer within what a packet can grow to") func limits() {
      for value in [
        Limits.headBytesMax, Limits.indexBucketsMax, Limits.datesKept_s, Limits.missFilterEntries,
        Limits.eventRingBytes, Limits.arenaBytesDefault, HandoverReason.count, DropReason.count, Counter.count,
      ] {
        #expect(value.nonzeroBitCount == 1, "\(value)")
      }
      #expect(Limits.responseBytesMax + 14 + 40 + 60 <= 16_064, "headers of Ethernet, IPv6 and TCP")
      // headOffset and what is copied from there stay in the arena's mapping.
      #expect(Int(UInt16.max) + 16_384 <= Limits.arenaSlackBytes)
      #expect(HandoverReason.allCases.count <= HandoverReason.count && DropReason.allCases.count <= DropReason.count)
    }
  }
}
