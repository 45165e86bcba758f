import Contract
import HTTPHead
import KernelSockets
import Wire

/// What Apus keeps in the memory of this CPU. Nothing of it outlives the packet but the rate of miss events.
extension SocketMemory {
  @inline(__always) var head: HeadBuffer { HeadBuffer(payload) }
  /// An `AccessEvent`, in front of the request, so that both are sent as they lie.
  @inline(__always) var accessEvent: UnsafeMutableRawPointer { payload - AccessEvent.byteCount }
  @inline(__always) var hostKey: UnsafeMutableRawPointer { server }
  /// A key of another map, made and looked up before there is a Host.
  @inline(__always) func key<Key: BitwiseCopyable>(_ key: Key) -> UnsafeRawPointer {
    hostKey.assumingMemoryBound(to: Key.self).pointee = key
    return UnsafeRawPointer(hostKey)
  }
  /// The value of an Age; in the place of the Host, which has been looked up by then.
  @inline(__always) var ageText: UnsafeMutablePointer<UInt64> { hostKey.assumingMemoryBound(to: UInt64.self) }
  @inline(__always) var missEvent: UnsafeMutableRawPointer { server + 64 }
  /// The second miss events are being counted in, and how many there were.
  @inline(__always) var missSecond: UnsafeMutablePointer<UInt64> {
    (server + 400).assumingMemoryBound(to: UInt64.self)
  }
  @inline(__always) var missCount: UnsafeMutablePointer<UInt32> {
    (server + 408).assumingMemoryBound(to: UInt32.self)
  }

  /// The form of the answer to the request: a `Form`.
  @inline(__always) var form: UnsafeMutablePointer<UInt16> {
    (server + 436).assumingMemoryBound(to: UInt16.self)
  }

  @inline(__always) var headLength: StoredLength { StoredLength(server + 416) }
  @inline(__always) var bodyLength: StoredLength { StoredLength(server + 418) }

  /// The site a request is for, and the record found for it.
  @inline(__always) var site: UnsafeMutablePointer<UInt16> {
    (server + 420).assumingMemoryBound(to: UInt16.self)
  }
  @inline(__always) var objectUnit: UnsafeMutablePointer<UInt32> {
    (server + 424).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var objectGeneration: UnsafeMutablePointer<UInt32> {
    (server + 428).assumingMemoryBound(to: UInt32.self)
  }
  /// Why the head is not understood: a `HandoverReason`, but the verifier must not know that it has been one.
  @inline(__always) var reason: UnsafeMutablePointer<UInt32> {
    (server + 432).assumingMemoryBound(to: UInt32.self)
  }

  /// Where bytes of a record are being summed, and how many are left.
  @inline(__always) var sumPosition: UnsafeMutablePointer<UInt32> {
    (server + 440).assumingMemoryBound(to: UInt32.self)
  }
  @inline(__always) var sumLeft: UnsafeMutablePointer<UInt32> {
    (server + 444).assumingMemoryBound(to: UInt32.self)
  }
}
