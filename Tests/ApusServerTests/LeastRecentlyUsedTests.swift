import Testing

@testable import ApusServer

@Suite("Least recently used table")
struct LeastRecentlyUsedTests {
  @Test("what was used longest ago goes first, and costs never exceed the limit")
  func eviction() {
    var table = LeastRecentlyUsed<Int, String>(costMax: 30)
    table.insert(1, "a", cost: 10)
    table.insert(2, "b", cost: 10)
    table.insert(3, "c", cost: 10)
    #expect(table.value(1) == "a")
    table.insert(4, "d", cost: 10)
    #expect(table.value(2) == nil)
    #expect(table.value(1) == "a" && table.value(3) == "c" && table.value(4) == "d")
    table.insert(5, "e", cost: 25)
    #expect(table.count == 1 && table.cost == 25)
    table.insert(6, "f", cost: 31)
    #expect(table.value(6) == nil && table.value(5) == "e")
    table.insert(5, "e2", cost: 1)
    #expect(table.value(5) == "e2" && table.cost == 1)
    table.remove(5)
    #expect(table.count == 0 && table.cost == 0)
  }

  @Test("against a simple model, over many random steps")
  func model() {
    var table = LeastRecentlyUsed<Int, Int>(costMax: 50)
    // Newest last.
    var model: [(key: Int, value: Int, cost: Int)] = []
    for step in 0..<20_000 {
      let key = Int.random(in: 0..<20)
      switch Int.random(in: 0..<4) {
      case 0:
        let cost = Int.random(in: 1...20)
        table.insert(key, step, cost: cost)
        model.removeAll { $0.key == key }
        while model.reduce(0, { $0 + $1.cost }) + cost > 50 { model.removeFirst() }
        model.append((key, step, cost))
      case 1:
        table.remove(key)
        model.removeAll { $0.key == key }
      default:
        let found = model.firstIndex { $0.key == key }
        #expect(table.value(key) == found.map { model[$0].value })
        if let found { model.append(model.remove(at: found)) }
      }
      #expect(table.cost == model.reduce(0) { $0 + $1.cost })
      #expect(table.count == model.count)
    }
  }
}
