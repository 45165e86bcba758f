import Contract
import Synchronization
import Testing

@testable import ApusServer

@Suite struct ExpiryScheduleTests {
  let test = TestMemory()
  let store: ObjectStore
  let clock = TestClock()
  let schedule: ExpirySchedule
  let key = ObjectKey("/a")
  static let second_ns: UInt64 = 1_000_000_000

  init() {
    store = ObjectStore(memory: test.memory, pathSeed: 1, clock_ns: { [clock] in clock.now_ns() })
    schedule = ExpirySchedule(store: store)
  }

  private var request: ObjectRequest { ObjectRequest(key: key, host: []) }

  /// Stores as the filler does.
  private func keep(for seconds: UInt64?) throws {
    let expires_ns = seconds.map { clock.now_ns() + $0 * Self.second_ns }
    schedule.prepare(request, expires_ns: expires_ns, now_ns: clock.now_ns())
    try store.insert(.sample("body"), for: key)
    schedule.confirm(request, expires_ns: expires_ns, now_ns: clock.now_ns())
  }

  private func advance(ms: UInt64) -> [ObjectRequest] {
    clock.advance(ms: ms)
    return schedule.advance(to: clock.now_ns())
  }

  private var isKept: Bool { store.contains(key) }

  @Test func `an object is gone before a heartbeat of that time could outlast it`() throws {
    try keep(for: 10)
    let margin_ms = Limits.heartbeatAge_ns_max / 1_000_000
    _ = advance(ms: 10_000 - margin_ms - 1)
    #expect(isKept)
    _ = advance(ms: 1)
    #expect(!isKept && schedule.count == 0)
  }

  @Test func `an object fresh for less than a heartbeat lasts is gone at once`() throws {
    try keep(for: 2)
    _ = advance(ms: 0)
    #expect(!isKept)
  }

  @Test func `an object without an end stays`() throws {
    try keep(for: nil)
    _ = advance(ms: 100_000_000)
    #expect(isKept && schedule.count == 0)
  }

  @Test func `what is stored anew has the new end`() throws {
    try keep(for: 10)
    _ = advance(ms: 5000)
    try keep(for: 10)
    _ = advance(ms: 5000)
    #expect(isKept)
    _ = advance(ms: 3000)
    #expect(!isKept)
    try keep(for: 10)
    try keep(for: nil)
    _ = advance(ms: 20_000)
    #expect(isKept)
  }

  @Test func `a renewal that is not stored does not prolong the object that is there`() throws {
    try keep(for: 10)
    schedule.prepare(request, expires_ns: clock.now_ns() + 100 * Self.second_ns, now_ns: clock.now_ns())
    _ = advance(ms: 8000)
    #expect(!isKept)
  }

  @Test func `what is asked for is told for renewal in time, once a while; what is not, is not`() throws {
    try keep(for: 60)
    #expect(advance(ms: 55_000).isEmpty)
    try keep(for: 60)
    let reader = KernelReader(test: test, seed: 1)
    clock.advance(ms: 3000)
    _ = reader.answer("/a", hit_s: UInt32(clock.now_ns() / Self.second_ns))
    #expect(schedule.advance(to: clock.now_ns()).isEmpty, "too early")
    // A tenth of the 58 s in which it can be answered, before they are over.
    #expect(advance(ms: 49_000).isEmpty)
    #expect(advance(ms: 300).map(\.key) == [key])
    #expect(advance(ms: 100).isEmpty, "not at every heartbeat")
    #expect(advance(ms: 1000).map(\.key) == [key], "until it is stored anew")
  }

  @Test func `ends of objects that have left the store are forgotten`() throws {
    for number in 0..<ExpirySchedule.Settings.entriesMin * 3 {
      let key = ObjectKey("/\(number)")
      schedule.prepare(ObjectRequest(key: key, host: []), expires_ns: .max / 2, now_ns: clock.now_ns())
    }
    #expect(schedule.count <= ExpirySchedule.Settings.entriesMin + 1)
  }
}

@Suite struct HeartbeatTests {
  let test = TestMemory()
  let store: ObjectStore
  let schedule: ExpirySchedule
  let clock = TestClock()
  let key = ObjectKey("/a")

  init() {
    store = ObjectStore(memory: test.memory, pathSeed: 1, clock_ns: { [clock] in clock.now_ns() })
    schedule = ExpirySchedule(store: store)
  }

  private func keep(for seconds: UInt64) throws {
    let request = ObjectRequest(key: key, host: [])
    schedule.prepare(request, expires_ns: clock.now_ns() + seconds * 1_000_000_000, now_ns: clock.now_ns())
    try store.insert(.sample("body"), for: key)
  }

  private final class Beats: Sendable {
    let offset_ns = Atomic<Int64>(0)
    let keptAtBeat = Mutex<[Bool]>([])
  }

  private func heartbeat(_ beats: Beats) -> Heartbeat {
    Heartbeat(store: store, expiry: schedule, realtimeOffset_ns: { beats.offset_ns.load(ordering: .relaxed) }) {
      [store, key] _ in beats.keptAtBeat.withLock { $0.append(store.contains(key)) }
    }
  }

  @Test func `what ends while a heartbeat lasts is gone before it is written`() throws {
    let beats = Beats()
    let heartbeat = heartbeat(beats)
    try keep(for: 3)
    heartbeat.beat(clock.now_ns())
    clock.advance(ms: 1000)
    heartbeat.beat(clock.now_ns())
    #expect(beats.keptAtBeat.withLock { $0 } == [true, false])
  }

  @Test func `when the wall clock is set, what is aged by it is dropped; a clock that is slewed is no matter`() throws {
    let beats = Beats()
    let heartbeat = heartbeat(beats)
    try keep(for: 3600)
    for offset_ns: Int64 in [0, 400_000, 800_000] {
      beats.offset_ns.store(offset_ns, ordering: .relaxed)
      heartbeat.beat(clock.now_ns())
    }
    #expect(store.contains(key))
    beats.offset_ns.store(-3_600_000_000_000, ordering: .relaxed)
    heartbeat.beat(clock.now_ns())
    #expect(beats.keptAtBeat.withLock { $0 } == [true, true, true, false])
  }
}

@Suite struct AdmissionTests {
  @Test func `the second miss within the window is admitted, one alone is not`() {
    let admission = Admission(window_ns: 10)
    let (a, b) = (ObjectKey("/a"), ObjectKey("/b"))
    #expect(!admission.admits(a, now_ns: 100))
    #expect(!admission.admits(b, now_ns: 105))
    #expect(admission.admits(a, now_ns: 110))
    #expect(!admission.admits(b, now_ns: 116), "too late")
    #expect(admission.admits(b, now_ns: 120))
    #expect(!admission.admits(ObjectKey("/a", site: 1), now_ns: 111), "another site, another object")
  }

  @Test func `a flood of objects keeps within bounds, and the old ones go first`() {
    let admission = Admission(window_ns: 1000, entriesMax: 10)
    for number in 0..<100 { #expect(!admission.admits(ObjectKey("/\(number)"), now_ns: UInt64(number) * 200)) }
    #expect(admission.admits(ObjectKey("/99"), now_ns: 20_000))
    for number in 0..<100 { _ = admission.admits(ObjectKey("/x\(number)"), now_ns: 30_000) }
    #expect(admission.admits(ObjectKey("/x99"), now_ns: 30_000))
  }
}
