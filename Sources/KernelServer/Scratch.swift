import Contract
import HTTPHead
import KernelSockets

/// Memory of this CPU, for what is too large for the stack of 512 bytes. Nothing in it outlives the packet but the
/// rate of miss events.
struct Scratch {
  let base: UnsafeMutableRawPointer
  @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @inline(__always) var head: HeadBuffer { HeadBuffer(base) }
  @inline(__always) var headers: UnsafeMutableRawPointer { base + 2304 }
  @inline(__always) var options: UnsafeMutableRawPointer { base + 2368 }
  @inline(__always) var hostKey: UnsafeMutableRawPointer { base + 2440 }
  @inline(__always) var missEvent: UnsafeMutableRawPointer { base + 2504 }
  /// The second miss events are being counted in, and how many there were.
  @inline(__always) var missSecond: UnsafeMutablePointer<UInt64> {
    (base + 2840).assumingMemoryBound(to: UInt64.self)
  }
  @inline(__always) var missCount: UnsafeMutablePointer<UInt32> {
    (base + 2848).assumingMemoryBound(to: UInt32.self)
  }

  static var byteCount: Int { 2880 }
}
