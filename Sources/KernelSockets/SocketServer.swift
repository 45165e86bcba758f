import BPFKernel
import Wire

/// A TCP server in the kernel, called for every packet. The library does what RFC 9293 asks for; the server says
/// whom it serves, and what it answers.
///
/// A type that conforms is made anew for each packet and keeps nothing: it holds pointers into maps. All of it is
/// specialised and inlined at compile time; there are no witness tables in the kernel.
public protocol SocketServer {
  var packet: PacketContext { get }
  var memory: SocketMemory { get }

  /// bind(2), listen(2): the server for the address the segment in the memory came to (`localName`). `nil`: it is not
  /// ours, and left to the kernel.
  init?(_ packet: PacketContext, _ memory: SocketMemory)

  /// Keys of SYN cookies; random, and changed about once a minute.
  var cookieKeys: CookieKeys { get }
  /// Bits of `HandshakeOptions`: what the kernel's sysctls allow.
  var handshakeOptions: UInt32 { get }
  /// The listening socket that takes over what is handed over.
  var backend: SocketAddress { get }
  /// That socket listens on the very address clients connect to: the kernel can deal with what is left to it.
  var hasOwnListener: Bool { get }

  /// A SYN is left to the kernel, and the listener behind listens elsewhere: a program at the network namespace's look-up
  /// of listeners can name it, if it is told now.
  func announce(_ listener: borrowing Socket)

  /// A SYN has come. `nil`: shake hands; else what becomes of the packet.
  func admit() -> Verdict?
  /// A SYN-ACK leaves by the interface its SYN came in on. If not, `route` says how.
  var isHandshakeReflected: Bool { get }
  func route(_ handshake: Verdict) -> Verdict
  /// accept(2): the handshake is complete, and the client's first data or its FIN is here. `nil`: go on.
  func accept() -> Step?
  /// recv(2): data in order, with nothing of ours unacknowledged. In `memory.payload` are `memory.segment`'s
  /// `payloadLength` bytes, if `isPayloadLoaded`. To be answered by `send` or `handOver`, and by nothing else.
  func receive() -> Step
  /// The data needs no answer; it is acknowledged, and forgotten.
  var isDataIgnored: Bool { get }

  /// A part of the last response is missing. Whether `write` can repeat the very bytes: if not the connection is reset,
  /// for the client may hold a part of the other ones.
  func canRepeat() -> Bool
  /// Makes the packet the segment that carries `memory.part` of the response. False: what the response is made from is
  /// gone, or the packet could not be changed.
  func write() -> Bool

  func count(_ event: SocketEvent)
  func countHandover(_ reason: UInt32)
}

extension SocketServer {
  @inline(__always) public func announce(_ listener: borrowing Socket) {}
  @inline(__always) public func admit() -> Verdict? { nil }
  @inline(__always) public var isHandshakeReflected: Bool { true }
  @inline(__always) public func route(_ handshake: Verdict) -> Verdict { handshake }
  @inline(__always) public func accept() -> Step? { nil }
  @inline(__always) public var isDataIgnored: Bool { false }
  @inline(__always) public func countHandover(_ reason: UInt32) {}
}

/// An address and a port, both in network byte order: `struct sockaddr_in6`, as far as TCP needs it. 20 bytes.
public struct SocketAddress: Hashable, Sendable, BitwiseCopyable {
  public var address: IPAddress
  public var port: UInt16
  public var reserved: UInt16 = 0
  @inline(__always) public init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }
}

/// Bits of `SocketServer.handshakeOptions`; the lower three are those of `SegmentOptions.Present`.
public enum HandshakeOptions {
  /// net.ipv4.tcp_timestamps
  public static var timestamps: UInt32 { 1 }
  /// net.ipv4.tcp_window_scaling
  public static var windowScale: UInt32 { 2 }
  /// net.ipv4.tcp_sack
  public static var sack: UInt32 { 4 }
  /// net.ipv4.tcp_syncookies: without it the kernel takes no connection over, so none is begun.
  public static var cookies: UInt32 { 8 }
}

extension SocketServer {
  /// getsockname(2)
  @inline(__always) public var localName: SocketAddress { memory.localName }
  /// getpeername(2)
  @inline(__always) public var remoteName: SocketAddress {
    SocketAddress(address: segment.flow.remoteAddress, port: segment.flow.remotePort)
  }

  @inline(__always) public var segment: Segment { memory.segment.pointee }
  /// The segment has the options that were agreed on, no others, and no urgent data. One SACK block may be among them:
  /// a client that asks again at once says with its next request that the probe behind the last burst came twice (RFC
  /// 2883).
  @inline(__always) public var isSegmentPlain: Bool {
    if segment.flags.has(TCPFlags.urg) { return false }
    let more = segment.headerLength &- UInt16(TCPHeader.byteCount) &- connection.options.byteCount
    return more == 0
      || (more == TCPOption.sackBlockByteCount && connection.options.hasSACK && segment.options.hasSACK)
  }
  /// The connection as it will be stored.
  @inline(__always) public var connection: Connection {
    get { memory.connection.pointee }
    nonmutating set { memory.connection.pointee = newValue }
  }

  /// Takes a packet if it is ours: to this host, TCP, to an address the server listens on. All others are the kernel's.
  @inline(__always) public static func run(_ packet: PacketContext) -> Verdict {
    guard packet.type == PacketContext.typeHost, !packet.hasVLANTag, let memory = SocketMemory.current else {
      return .next
    }
    guard memory.segment.pointee.read(packet) else { return .next }
    memory.payloadLength.set(memory.segment.pointee.payloadLength)
    memory.optionsLength.set(memory.segment.pointee.headerLength &- UInt16(TCPHeader.byteCount))
    guard let server = Self(packet, memory) else { return .next }
    memory.segment.pointee.time = TimestampClock.now
    return server.run()
  }

  @inline(__always) private func run() -> Verdict {
    if segment.hasUnreadOptions {
      guard loadOptions() else { return drop(.droppedPacket) }
      SocketPhases.readOptions()
    }
    let stored = Connection.table.value(at: memory.segment)
    var step = Step.begin
    if let stored { step = proceed(stored) }
    if step == .begin { step = begin() }
    if step == .receive { step = receive() }
    if step == .retransmit { step = retransmit() }
    if step == .transmit { return transmit(stored: stored) }
    if step == .finish { return finish(stored: stored) }
    if step.isHandOver { return handOver(stored, step) }
    return Verdict(rawValue: step.rawValue)
  }

  @inline(__always) public func drop(_ reason: SocketEvent) -> Verdict {
    count(reason)
    return .drop
  }

  @inline(__always) public func leave() -> Verdict {
    count(.leftToKernel)
    return .next
  }

  /// Answers with a segment that carries nothing but its header, or with two that are alike.
  @inline(__always) func send(_ reply: Reply, counting event: SocketEvent, isTwice: Bool = false) -> Verdict {
    memory.reply.pointee = reply
    guard SocketPhases.writeReply(packet) else { return drop(.droppedPacket) }
    if isTwice && packet.reflectCopy() { count(.retransmission) }
    count(event)
    return packet.reflect()
  }
}

extension SocketMemory {
  /// getsockname(2), where there is no server yet: the address the segment came to.
  @inline(__always) public var localName: SocketAddress {
    SocketAddress(address: segment.pointee.flow.localAddress, port: segment.pointee.flow.localPort)
  }
}
