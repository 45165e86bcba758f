import BPFKernel
import Wire

/// A server that listens on one address, set up by a `KernelSocketHost`, whose responses fit one segment and are made
/// from the request: what is left to say is `receive` and `canRepeat`, both of which have the request in `memory.payload`
/// and leave the response there.
public protocol SimpleSocketServer: SocketServer {
  init(_ packet: PacketContext, _ memory: SocketMemory, _ settings: UnsafeMutablePointer<SocketSettings>)
  var settings: UnsafeMutablePointer<SocketSettings> { get }
}

/// What the host program tells a `SimpleSocketServer`. 80 bytes.
public struct SocketSettings: Sendable, BitwiseCopyable {
  public var cookieKey0: (UInt64, UInt64) = (0, 0)
  public var cookieKey1: (UInt64, UInt64) = (0, 0)
  /// Which of the two keys signs new cookies.
  public var cookieKeySlot: UInt32 = 0
  /// Bits of `HandshakeOptions`.
  public var handshakeOptions: UInt32 = 0
  /// Where clients connect to, and where the listening socket behind is.
  public var listener: SocketAddress
  public var backend: SocketAddress

  public init(listener: SocketAddress, backend: SocketAddress) {
    self.listener = listener
    self.backend = backend
  }

  @inline(__always) static var current: UnsafeMutablePointer<SocketSettings>? {
    ArrayMap<SocketSettings>(&socketSettingsMap)[0]
  }
}

/// One `SocketSettings`, and this CPU's count of each `SocketEvent`.
@section("maps") public nonisolated(unsafe) var socketSettingsMap: MapDefinition = (2, 4, 80, 1, 1024)
@section("maps") public nonisolated(unsafe) var socketCountersMap: MapDefinition = (6, 4, 256, 1, 0)

extension SimpleSocketServer {
  @inline(__always) public init?(_ packet: PacketContext, _ memory: SocketMemory) {
    guard let settings = SocketSettings.current, settings.pointee.listener == memory.localName else { return nil }
    self.init(packet, memory, settings)
  }

  @inline(__always) public var cookieKeys: CookieKeys {
    let settings = settings.pointee
    return CookieKeys(first: settings.cookieKey0, second: settings.cookieKey1, current: settings.cookieKeySlot)
  }
  @inline(__always) public var handshakeOptions: UInt32 { settings.pointee.handshakeOptions }
  @inline(__always) public var backend: SocketAddress { settings.pointee.backend }
  @inline(__always) public var hasOwnListener: Bool { settings.pointee.listener == settings.pointee.backend }

  @inline(__always) public func count(_ event: SocketEvent) {
    guard let counters = ArrayMap<UInt8>(&socketCountersMap).bytes(0) else { return }
    let word = (counters + Int(event.rawValue) &* 8).assumingMemoryBound(to: UInt64.self)
    word.pointee = word.pointee &+ 1
  }

  /// send(2): the whole answer to the data, from `memory.payload`, in one segment; shutdown(2) or close(2) as well if
  /// `closes`. If it does not fit, or the data came in an odd segment, the connection is handed over instead.
  ///
  /// - Parameters:
  ///   - length: bytes of the answer, 1 to `SocketMemory.payloadBytesMax`.
  ///   - source: what they were made from, and which version of it, for `canRepeat` to look at in `connection`.
  @inline(__always)
  public func send(length: UInt32, source: UInt32 = 0, generation: UInt32 = 0, closes: Bool = false) -> Step {
    if !isSegmentPlain || length > UInt32(connection.payloadMax) || length > connection.window(of: segment) {
      return .handOver(code: 0)
    }
    memory.connection.pointee.source = source
    memory.connection.pointee.generation = generation
    return beginResponse(length: length, closes: closes || segment.flags.has(TCPFlags.fin))
  }

  @inline(__always) public func write() -> Bool { SocketPhases.writePayload(packet) }
}

extension SocketMemory {
  /// Makes the packet the response that lies in `payload`. What the client has of it already it drops.
  @inline(__always) func writePayload(to packet: PacketContext) -> Bool {
    let closes = connection.pointee.state == ConnectionState.closing
    let length = connection.pointee.sendNext - connection.pointee.responseSequence &- (closes ? 1 : 0)
    responseLength.set(UInt16(truncatingIfNeeded: length))
    reply.pointee = connection.pointee.reply(
      to: segment.pointee, sequence: connection.pointee.responseSequence,
      acknowledgement: connection.pointee.receiveNext,
      flags: TCPFlags.ack | TCPFlags.psh | (closes ? TCPFlags.fin : 0))
    reply.pointee.payloadLength = UInt16(truncatingIfNeeded: length)
    if !packet.checksumState.isPartial {
      // Sums are taken four bytes at a time.
      (payload + Int(responseLength.bounded(by: UInt32(Self.payloadBytesMax)))).put32(0, 0)
      var sum = Checksum()
      addPayload(length, to: &sum)
      reply.pointee.payloadSum = sum.folded
    }
    let start = Reply.write(to: packet, self)
    let bounded = responseLength.bounded(by: UInt32(Self.payloadBytesMax))
    return start != 0 && packet.store(start, from: UnsafeRawPointer(payload), length: bounded)
  }
}
