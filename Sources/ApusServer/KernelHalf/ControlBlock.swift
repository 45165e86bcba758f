import BPF
import Contract
import Glibc
import Synchronization
import Wire

/// What the daemon tells the kernel part, in memory both see: the heartbeat, the wall clock, the Date texts, the keys
/// of SYN cookies.
///
/// One thread writes: the one that drains file-change events. The kernel part trusts the heartbeat exactly because
/// the thread that beats is the one that would know of a change.
final class ControlBlock: @unchecked Sendable {
  private let control: MappedArray
  private let dates: MappedArray
  /// Date texts are written this long before they are due.
  private static let datesAhead_s = 3
  private var cookieKeyRenewal_ns: UInt64 = 0

  init(control: consuming MappedArray, dates: consuming MappedArray, pathSeed: UInt64) {
    self.control = control
    self.dates = dates
    block.pathSeed = pathSeed
    block.cookieKey0 = Self.randomKey()
    block.cookieKey1 = Self.randomKey()
    cookieKeyRenewal_ns = MonotonicClock.now_ns() + Limits.cookieKeyPeriod_s * 1_000_000_000
    updateClock()
  }

  private var block: Control {
    get { control.base.load(as: Control.self) }
    _modify { yield &control.base.assumingMemoryBound(to: Control.self).pointee }
  }

  /// All changes of files up to `drained_ns` (CLOCK_MONOTONIC) are in the store.
  func beat(_ drained_ns: UInt64) {
    updateClock()
    if drained_ns > cookieKeyRenewal_ns { renewCookieKey(at: drained_ns) }
    // The heartbeat is the first word, and written last.
    control.base.storeAtomic(drained_ns)
  }

  /// The options the kernel part may agree on in handshakes: bits of `HandshakeOptions`.
  func setHandshakeOptions(_ options: UInt32) { block.handshakeOptions = options }

  /// What the kernel part tells for the access log: bits of `AccessLogSwitch`.
  func setAccessLog(_ bits: UInt32) { block.accessLog = bits }

  /// No more new connections; every request is handed over.
  func drain() { block.draining = 1 }

  /// CLOCK_REALTIME may be set at any time; the kernel part only has CLOCK_MONOTONIC and this difference.
  private func updateClock() {
    var real = timespec()
    clock_gettime(CLOCK_REALTIME, &real)
    let real_ns = Int64(real.tv_sec) * 1_000_000_000 + Int64(real.tv_nsec)
    block.realtimeOffset_ns = real_ns - Int64(MonotonicClock.now_ns())
    for second in real.tv_sec - 1...real.tv_sec + Self.datesAhead_s { writeDate(of: second) }
  }

  private func writeDate(of second: Int) {
    let entry = dates.base + (second & (Limits.datesKept_s - 1)) * dates.stride
    guard entry.load(as: UInt64.self) != UInt64(second) else { return }
    // No second while the text is another one's.
    entry.storeAtomic(UInt64(0))
    let text = UnsafeMutableRawBufferPointer(start: entry + DateEntry.textOffset, count: 32)
    text.initializeMemory(as: UInt8.self, repeating: 0)
    HTTPDate.write(second, into: text)
    var checksum = Checksum()
    for offset in stride(from: 0, to: 32, by: 4) { checksum.add(text.load(fromByteOffset: offset, as: UInt32.self)) }
    entry.storeBytes(of: UInt32(checksum.folded), toByteOffset: DateEntry.textOffset + 32, as: UInt32.self)
    entry.storeAtomic(UInt64(second))
  }

  /// The key not in use becomes a new one and is used from now on; cookies of the other one stay valid until next time.
  private func renewCookieKey(at now_ns: UInt64) {
    cookieKeyRenewal_ns = now_ns + Limits.cookieKeyPeriod_s * 1_000_000_000
    if block.cookieKeySlot == 0 {
      block.cookieKey1 = Self.randomKey()
      block.cookieKeySlot = 1
    } else {
      block.cookieKey0 = Self.randomKey()
      block.cookieKeySlot = 0
    }
  }

  private static func randomKey() -> (UInt64, UInt64) {
    var generator = SystemRandomNumberGenerator()
    return (generator.next(), generator.next())
  }
}
