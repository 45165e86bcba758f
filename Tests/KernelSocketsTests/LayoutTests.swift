import BPFKernel
import Testing

@testable import KernelSockets

/// The numbers in the library's map definitions against the types they stand for.
@Suite struct LayoutTests {
  @Test("maps have the sizes of their keys and values") func maps() {
    #expect(connectionsMap.type == MapType.lruHash && socketMemoryMap.type == MapType.perCPUArray)
    #expect(Int(connectionsMap.keySize) == MemoryLayout<FlowKey>.size)
    #expect(Int(connectionsMap.valueSize) == MemoryLayout<Connection>.size)
    #expect(Int(socketMemoryMap.valueSize) == SocketMemory.byteCount && socketMemoryMap.entries == 1)
    #expect(recentHandshakesMap.type == MapType.perCPUArray && recentHandshakesMap.valueSize == 4)
    #expect(recentHandshakesMap.entries == RecentHandshakes.capacity && RecentHandshakes.capacity.nonzeroBitCount == 1)
  }

  @Test("what lies in a CPU's memory does not overlap, and the server's part is behind it") func memory() {
    let base = UnsafeMutableRawPointer(bitPattern: 1 << 20)!
    let memory = SocketMemory(base)
    func place(_ pointer: UnsafeMutableRawPointer, _ size: Int) -> Range<Int> { pointer - base..<pointer - base + size }
    let places = [
      place(memory.payload, SocketMemory.payloadRoom), place(memory.headers, Reply.headersRoom),
      place(memory.options, Segment.optionsRoom), place(memory.segment, MemoryLayout<Segment>.size),
      place(memory.connection, MemoryLayout<Connection>.size), place(memory.reply, MemoryLayout<Reply>.size),
      place(memory.part, MemoryLayout<ResponsePart>.size), place(memory.payloadLength.place, 2),
      place(memory.optionsLength.place, 2), place(memory.server, SocketMemory.serverRoom),
    ]
    for (place, next) in zip(places, places.dropFirst()) { #expect(place.upperBound <= next.lowerBound) }
    #expect(places.last?.upperBound == SocketMemory.byteCount - SocketMemory.frontRoom)
    #expect(SocketMemory.serverRoom >= 1024)
    for place in places[3...] where place.count >= 8 { #expect(place.lowerBound % 8 == 0) }
  }

  @Test("every event has a place, and every reason one in a step") func events() {
    #expect(SocketEvent.allCases.allSatisfy { $0.rawValue < SocketEvent.count })
    for reason in 0..<Step.handoverReasonsMax {
      #expect(Step.handOver(code: reason).isHandOver && Step.handOver(code: reason).handoverCode == reason)
    }
    #expect(Step.handOverAgain.isHandOver && Step.handOverAgain.handoverCode == nil)
    for step in [Step.begin, .receive, .retransmit, .finish, .transmit, .done(.drop), .done(.next), .done(.redirect)] {
      #expect(!step.isHandOver)
    }
  }
}
