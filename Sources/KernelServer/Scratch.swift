import Contract
import HTTPHead
import KernelSockets
import Wire

/// Memory of this CPU, for what is too large for the stack of 512 bytes. Nothing in it outlives the packet but the
/// rate of miss events.
struct Scratch {
  /// Where the request is; before it is room for the header of its event, so that both are sent as they lie.
  let base: UnsafeMutableRawPointer
  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { base = memory + AccessEvent.byteCount }

  /// An `AccessEvent`.
  @inline(__always) var accessEvent: UnsafeMutableRawPointer { base - AccessEvent.byteCount }
  @inline(__always) var head: HeadBuffer { HeadBuffer(base) }
  @inline(__always) var headers: UnsafeMutableRawPointer { base + 2304 }
  @inline(__always) var options: UnsafeMutableRawPointer { base + 2432 }
  @inline(__always) var hostKey: UnsafeMutableRawPointer { base + 2504 }
  /// A key of another map, made and looked up before there is a Host.
  @inline(__always) func key<Key: BitwiseCopyable>(_ key: Key) -> UnsafeRawPointer {
    hostKey.assumingMemoryBound(to: Key.self).pointee = key
    return UnsafeRawPointer(hostKey)
  }
  /// The value of an Age; in the place of the Host, which has been looked up by then.
  @inline(__always) var ageText: UnsafeMutablePointer<UInt64> { hostKey.assumingMemoryBound(to: UInt64.self) }
  @inline(__always) var missEvent: UnsafeMutableRawPointer { base + 2568 }
  /// The second miss events are being counted in, and how many there were.
  @inline(__always) var missSecond: UnsafeMutablePointer<UInt64> {
    (base + 2904).assumingMemoryBound(to: UInt64.self)
  }
  @inline(__always) var missCount: UnsafeMutablePointer<UInt32> {
    (base + 2912).assumingMemoryBound(to: UInt32.self)
  }

  /// The form of the answer to the request: a `Form`.
  @inline(__always) var form: UnsafeMutablePointer<UInt16> {
    (base + 2940).assumingMemoryBound(to: UInt16.self)
  }

  // Lengths of copies. The verifier must see that a length is between 1 and a limit, and the compiler must not see
  // that it has been compared before, or it folds the comparisons into one the verifier learns nothing from. So a
  // length is stored, and read again after a helper call, the compiler not knowing what the call changes.
  @inline(__always) var payloadLength: StoredLength { StoredLength(base + 2916) }
  @inline(__always) var optionsLength: StoredLength { StoredLength(base + 2918) }
  @inline(__always) var headLength: StoredLength { StoredLength(base + 2920) }
  @inline(__always) var bodyLength: StoredLength { StoredLength(base + 2922) }

  /// The site a request is for, and the record found for it.
  @inline(__always) var site: UnsafeMutablePointer<UInt16> {
    (base + 2924).assumingMemoryBound(to: UInt16.self)
  }
  @inline(__always) var objectUnit: UnsafeMutablePointer<UInt32> {
    (base + 2928).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var objectGeneration: UnsafeMutablePointer<UInt32> {
    (base + 2932).assumingMemoryBound(to: UInt32.self)
  }
  /// Why the head is not understood: a `HandoverReason`, but the verifier must not know that it has been one.
  @inline(__always) var reason: UnsafeMutablePointer<UInt32> {
    (base + 2936).assumingMemoryBound(to: UInt32.self)
  }

  /// The segment being dealt with, the working copy of its connection, and what is sent: 512 bytes of stack are not
  /// enough for copies of them at every level.
  @inline(__always) var segment: UnsafeMutablePointer<Segment> {
    (base + 2944).assumingMemoryBound(to: Segment.self)
  }
  @inline(__always) var connection: UnsafeMutablePointer<Connection> {
    (base + 3040).assumingMemoryBound(to: Connection.self)
  }
  @inline(__always) var reply: UnsafeMutablePointer<Reply> {
    (base + 3136).assumingMemoryBound(to: Reply.self)
  }

  @inline(__always) var part: UnsafeMutablePointer<Part> {
    (base + 3200).assumingMemoryBound(to: Part.self)
  }

  /// Where bytes of a record are being summed, and how many are left.
  @inline(__always) var sumPosition: UnsafeMutablePointer<UInt32> {
    (base + 3224).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var sumLeft: UnsafeMutablePointer<UInt32> {
    (base + 3228).assumingMemoryBound(to: UInt32.self)
  }

  static var byteCount: Int { AccessEvent.byteCount &+ 3232 }
}

/// A length between 1 and a limit that is a power of two.
struct StoredLength {
  let place: UnsafeMutableRawPointer
  @inline(__always) init(_ place: UnsafeMutableRawPointer) { self.place = place }

  @inline(__always) func set(_ length: UInt16) { place.put16(length, 0) }
  @inline(__always) var stored: UInt16 { UnsafeRawPointer(place).word16(0) }
  /// What was stored, if it is in the limits; something in the limits otherwise.
  @inline(__always) func bounded(by limit: UInt32) -> UInt32 {
    ((UInt32(stored) &- 1) & (limit &- 1)) &+ 1
  }
}
