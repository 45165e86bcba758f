import Foundation
import TestSupport

/// A TCP segment over IPv4 and Ethernet, for senders that are not bound to what a TCP would send (RFC 9293, RFC 791).
/// Addresses are in host byte order.
struct RawSegment {
  var source: UInt32
  var destination: UInt32
  var sourcePort: UInt16
  var destinationPort: UInt16
  var sequence: UInt32
  var acknowledgement: UInt32 = 0
  var flags: UInt8

  static let fin: UInt8 = 0x01
  static let syn: UInt8 = 0x02
  static let rst: UInt8 = 0x04
  static let push: UInt8 = 0x08
  static let ack: UInt8 = 0x10

  static let headersByteCount = 54

  /// Writes the frame.
  ///
  /// - Returns: its length.
  func write(
    to frame: UnsafeMutableRawPointer, hardware: (destination: [UInt8], source: [UInt8]), payload: [UInt8] = []
  ) -> Int {
    let ip = frame + 14
    let tcp = frame + 34
    frame.copyMemory(from: hardware.destination, byteCount: 6)
    (frame + 6).copyMemory(from: hardware.source, byteCount: 6)
    frame.storeBytes(of: UInt16(0x0800).bigEndian, toByteOffset: 12, as: UInt16.self)
    let length = UInt16(20 + payload.count)
    ip.storeBytes(of: UInt16(0x4500).bigEndian, as: UInt16.self)
    ip.storeBytes(of: (20 + length).bigEndian, toByteOffset: 2, as: UInt16.self)
    ip.storeBytes(of: UInt32(0x4000).bigEndian, toByteOffset: 4, as: UInt32.self)
    ip.storeBytes(of: UInt32(0x4006_0000).bigEndian, toByteOffset: 8, as: UInt32.self)
    ip.storeBytes(of: source.bigEndian, toByteOffset: 12, as: UInt32.self)
    ip.storeBytes(of: destination.bigEndian, toByteOffset: 16, as: UInt32.self)
    ip.storeBytes(of: Self.checksum(ip, 20, 0), toByteOffset: 10, as: UInt16.self)
    tcp.storeBytes(of: sourcePort.bigEndian, as: UInt16.self)
    tcp.storeBytes(of: destinationPort.bigEndian, toByteOffset: 2, as: UInt16.self)
    tcp.storeBytes(of: sequence.bigEndian, toByteOffset: 4, as: UInt32.self)
    tcp.storeBytes(of: acknowledgement.bigEndian, toByteOffset: 8, as: UInt32.self)
    tcp.storeBytes(of: (UInt16(0x5000) | UInt16(flags)).bigEndian, toByteOffset: 12, as: UInt16.self)
    tcp.storeBytes(of: UInt16(64_000).bigEndian, toByteOffset: 14, as: UInt16.self)
    tcp.storeBytes(of: UInt32(0), toByteOffset: 16, as: UInt32.self)
    (tcp + 20).copyMemory(from: payload, byteCount: payload.count)
    var pseudo = UInt64(6 + UInt64(length))
    for address in [source, destination] { pseudo += UInt64(address >> 16) + UInt64(address & 0xffff) }
    tcp.storeBytes(of: Self.checksum(tcp, Int(length), pseudo), toByteOffset: 16, as: UInt16.self)
    return Self.headersByteCount + payload.count
  }

  /// RFC 1071.
  private static func checksum(_ bytes: UnsafeMutableRawPointer, _ count: Int, _ start: UInt64) -> UInt16 {
    var sum = start
    for offset in stride(from: 0, to: count - 1, by: 2) {
      sum += UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }
    if count & 1 != 0 { sum += UInt64(bytes.load(fromByteOffset: count - 1, as: UInt8.self)) << 8 }
    while sum >> 16 != 0 { sum = (sum & 0xffff) + (sum >> 16) }
    return (~UInt16(sum)).bigEndian
  }

  /// The segment in a frame; nil if it is none.
  init?(_ frame: UnsafeRawBufferPointer) {
    guard frame.count >= Self.headersByteCount, frame[12] == 8, frame[13] == 0, frame[14] == 0x45, frame[23] == 6
    else { return nil }
    func word(_ offset: Int) -> UInt32 {
      UInt32(bigEndian: frame.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    source = word(26)
    destination = word(30)
    sourcePort = UInt16(word(34) >> 16)
    destinationPort = UInt16(word(34) & 0xffff)
    sequence = word(38)
    acknowledgement = word(42)
    flags = frame[47]
  }

  init(
    source: UInt32, destination: UInt32, sourcePort: UInt16, destinationPort: UInt16, sequence: UInt32,
    acknowledgement: UInt32 = 0, flags: UInt8
  ) {
    self.source = source
    self.destination = destination
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    self.sequence = sequence
    self.acknowledgement = acknowledgement
    self.flags = flags
  }
}

/// Sends frames from the client's device to the server's, a batch at a time, and reads what comes back.
final class RawSender {
  static let batch = 64
  private static let stride = 512
  /// 198.18.0.0/15, set aside for tests of network equipment (RFC 2544): 131,072 addresses that are nobody's here.
  static let strangers: UInt32 = 198 << 24 | 18 << 16
  static let strangersCount: UInt32 = 1 << 17

  let serverAddress: UInt32
  let clientAddress: UInt32
  private let socket: PacketSocket
  private let hardware: (destination: [UInt8], source: [UInt8])
  private let frames = UnsafeMutableRawPointer.allocate(byteCount: batch * stride, alignment: 64)
  private var received = [UInt8](repeating: 0, count: 2048)
  private var lengths: [Int] = []

  /// Also gives the server a way back to the strangers, so that whatever answers them can.
  init(_ network: TestNetwork) throws {
    try network.server.ip("route", "replace", "198.18.0.0/15", "via", network.clientAddress)
    func address(in namespace: NetworkNamespace) throws -> [UInt8] {
      try namespace.withThread { try PacketSocket.hardwareAddress(of: "eth0") }
    }
    hardware = try (address(in: network.server), address(in: network.client))
    socket = try network.client.withThread { try PacketSocket(on: "eth0") }
    func number(_ text: String) -> UInt32 {
      var address = in_addr()
      inet_pton(AF_INET, text, &address)
      return UInt32(bigEndian: address.s_addr)
    }
    serverAddress = number(network.serverAddress)
    clientAddress = number(network.clientAddress)
  }

  deinit { frames.deallocate() }

  /// Adds a segment to the batch; all of a batch have the same length.
  func add(_ segment: RawSegment, payload: [UInt8] = []) {
    precondition(lengths.count < Self.batch && RawSegment.headersByteCount + payload.count <= Self.stride)
    lengths.append(segment.write(to: frames + lengths.count * Self.stride, hardware: hardware, payload: payload))
  }

  /// Sends the batch.
  ///
  /// - Returns: how many frames were sent; a full queue of the device refuses some.
  func flush() -> Int {
    defer { lengths.removeAll(keepingCapacity: true) }
    guard let length = lengths.first else { return 0 }
    return socket.send(frames, stride: Self.stride, length: length, count: lengths.count)
  }

  /// The next segment that came from the server, or nil when none comes for `timeout_ms`.
  func receive(timeout_ms: Int32) -> RawSegment? {
    while true {
      let count = socket.receive(into: &received)
      if count < 0 {
        var event = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        if poll(&event, 1, timeout_ms) <= 0 { return nil }
        continue
      }
      guard count > 0 else { continue }
      let segment = received.withUnsafeBytes { RawSegment(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      if let segment, segment.source == serverAddress { return segment }
    }
  }
}
