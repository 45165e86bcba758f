import Contract
import Testing

@testable import ApusServer

/// What a hundred thousand objects cost. The figures are printed.
@Suite struct StoreFigureTests {
  @Test("100,000 objects are stored, found, and take little more than their bytes")
  func hundredThousand() throws {
    let count = 100_000
    let test = TestMemory(arenaBytes: 256 << 20)
    let store = ObjectStore(memory: test.memory, pathSeed: 99)
    let file = someFile()
    let response = FileResponse(name: Array("page.html".utf8), metadata: file)
    let object = ComposedObject(response.representation([UInt8](repeating: 0x61, count: response.contentLength)))
    let clock = ContinuousClock()
    let filled = try clock.measure {
      for number in 0..<count { try store.insert(object, for: ObjectKey("/pages/\(number)/index.html")) }
    }
    let statistics = store.statistics
    let reader = KernelReader(test: test, seed: 99)
    let found = (0..<count).count { reader.answer("/pages/\($0)/index.html") != nil }
    let perObject = statistics.arenaBytesUsed / statistics.objects
    let record = statistics.bytes / statistics.objects
    let seconds = Double(filled.components.seconds) + Double(filled.components.attoseconds) / 1e18
    print(
      "store: \(count) objects in \(filled) (\(Int(Double(count) / seconds)) a second); of each \(record) bytes of "
        + "record, \(record - response.contentLength) more than its body, in \(perObject) bytes of arena; "
        + "\(count - found) lost to full buckets")
    // Buckets of 8 hold 100,000 of 524,288 with next to none overflowing.
    #expect(found == statistics.objects && count - found <= count / 1000)
    #expect(perObject < 2 * record + ArenaAllocator.blockBytesMin)
  }
}
