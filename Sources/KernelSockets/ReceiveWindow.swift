import BPFKernel

/// The window the kernel part offers: no more than the kernel itself offers after a hand-over, for what the client
/// sends on the strength of it may have to fit the new socket's buffer.
public enum ReceiveWindow {
  public static var size: UInt16 { 64_240 }
  /// Our window shift, where window scale is agreed on: what the kernel chooses with its default buffers, so that a
  /// connection can grow after it is handed over.
  public static var shift: UInt8 { 7 }
  public static var scaled: UInt16 { size >> UInt16(shift) }
}

/// The clock of our timestamps: a millisecond a tick, as the kernel's own, which goes on with it after a hand-over.
public enum TimestampClock {
  @inline(__always) public static var now: UInt32 { UInt32(truncatingIfNeeded: Clock.now_ns / 1_000_000) }
}
