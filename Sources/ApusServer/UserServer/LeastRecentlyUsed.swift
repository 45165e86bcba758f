/// A bounded table that forgets what was used longest ago.
///
/// The order is a doubly linked list of places in an array: a hit moves a place to the front and touches no
/// reference count.
struct LeastRecentlyUsed<Key: Hashable, Value> {
  private struct Place {
    var key: Key
    var value: Value?
    var cost: Int
    var newer: Int
    var older: Int
  }

  private static var none: Int { -1 }

  let costMax: Int
  /// Sum of the costs of what is kept.
  private(set) var cost = 0
  private var places: [Place] = []
  private var free: [Int] = []
  private var indices: [Key: Int] = [:]
  private var newest = Self.none
  private var oldest = Self.none

  init(costMax: Int) { self.costMax = costMax }

  var count: Int { indices.count }

  /// The value of a key, which counts as used now.
  mutating func value(_ key: Key) -> Value? {
    guard let index = indices[key] else { return nil }
    if index != newest {
      unlink(index)
      pushNewest(index)
    }
    return places[index].value
  }

  /// Keeps a value, and forgets others until the costs fit. A value that cannot fit is not kept.
  mutating func insert(_ key: Key, _ value: Value, cost: Int) {
    remove(key)
    guard cost <= costMax else { return }
    while self.cost + cost > costMax, oldest != Self.none { remove(places[oldest].key) }
    let place = Place(key: key, value: value, cost: cost, newer: Self.none, older: Self.none)
    let index: Int
    if let reused = free.popLast() {
      index = reused
      places[index] = place
    } else {
      index = places.count
      places.append(place)
    }
    indices[key] = index
    self.cost += cost
    pushNewest(index)
  }

  mutating func remove(_ key: Key) {
    guard let index = indices.removeValue(forKey: key) else { return }
    unlink(index)
    cost -= places[index].cost
    places[index].value = nil
    free.append(index)
  }

  /// Forgets values, from the one used longest ago on, as long as they are to go.
  mutating func removeOldest(while shouldGo: (Value) -> Bool) {
    while oldest != Self.none, let value = places[oldest].value, shouldGo(value) { remove(places[oldest].key) }
  }

  private mutating func unlink(_ index: Int) {
    let (newer, older) = (places[index].newer, places[index].older)
    if newer == Self.none { newest = older } else { places[newer].older = older }
    if older == Self.none { oldest = newer } else { places[older].newer = newer }
  }

  private mutating func pushNewest(_ index: Int) {
    places[index].newer = Self.none
    places[index].older = newest
    if newest == Self.none { oldest = index } else { places[newest].newer = index }
    newest = index
  }
}
