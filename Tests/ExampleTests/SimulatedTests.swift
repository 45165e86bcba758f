import BPFKernel
import KernelSockets
import KernelTestSupport
import KeyValueServer
import Testing
import Wire

/// The key-value server's own source on the simulated kernel: no root, no device.
@Suite(.serialized) struct SimulatedTests {
  private static let server = Endpoint.loopback(1, port: 6379)
  private static let client = Endpoint.loopback(2, port: 40_000)
  private let kernel = SimulatedKernel()

  init() {
    kernel.activate()
    kernel.listeningPorts = [Self.server.port.bigEndian]
    let address = SocketAddress(
      address: IPAddress(ipv4: UInt32(0x7f00_0001).bigEndian), port: Self.server.port.bigEndian)
    var settings = SocketSettings(listener: address, backend: address)
    settings.handshakeOptions = HandshakeOptions.cookies
    store(&socketSettingsMap, [0, 0, 0, 0], withUnsafeBytes(of: settings) { Array($0) })
  }

  private func store(_ map: UnsafeRawPointer, _ key: [UInt8], _ value: [UInt8]) {
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        _ = kernel.update(map, key: key.baseAddress!, value: value.baseAddress!)
      }
    }
  }

  private func set(_ key: String, _ reply: String, generation: UInt8) {
    let value: [UInt8] = [generation, 0, 0, 0, UInt8(reply.utf8.count), 0, 0, 0] + Array(reply.utf8)
    store(
      &valuesMap, Array(key.utf8) + [UInt8](repeating: 0, count: Value.keyBytesMax - key.utf8.count),
      value + [UInt8](repeating: 0, count: Value.byteCount - value.count))
  }

  private func run(_ flags: SegmentFlags, _ sequence: UInt32, _ acknowledgement: UInt32, _ payload: String = "")
    -> (verdict: Int32, segment: ReceivedSegment?)
  {
    let packet = Packet.tcp(
      from: Self.client, to: Self.server, flags, sequence: sequence, acknowledgement: acknowledgement,
      options: flags == .syn ? [.segmentSize(1460)] : [], payload: Array(payload.utf8))
    let (verdict, bytes) = kernel.run(keyValueIngress, packet: packet.bytes)
    return (verdict, verdict == Verdict.redirect.rawValue ? ReceivedSegment(bytes) : nil)
  }

  /// What is answered to a command that is the first on its connection; `nil`: it is handed over.
  private func answer(_ command: String) throws -> String? {
    let start = try #require(run(.syn, 99, 0).segment).sequence &+ 1
    let (verdict, segment) = run([.psh, .ack], 100, start, command)
    guard let segment else {
      #expect(verdict == Verdict.next.rawValue)
      return nil
    }
    #expect(segment.faults.isEmpty && segment.acknowledgement == 100 &+ UInt32(command.utf8.count))
    // The connection is over.
    #expect(run([.rst], 100 &+ UInt32(command.utf8.count), 0).verdict == Verdict.drop.rawValue)
    return String(decoding: segment.payload, as: UTF8.self)
  }

  @Test("a command is answered if it is understood to the last byte") func commands() throws {
    set("k", "$1\r\nv\r\n", generation: 1)
    set("0123456789ab", "$0\r\n\r\n", generation: 2)
    #expect(try answer("*1\r\n$4\r\nPING\r\n") == "+PONG\r\n")
    #expect(try answer("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n") == "$1\r\nv\r\n")
    #expect(try answer("*2\r\n$3\r\nGET\r\n$12\r\n0123456789ab\r\n") == "$0\r\n\r\n")
    for command in [
      "*2\r\n$3\r\nGET\r\n$1\r\nx\r\n", "*2\r\n$3\r\nGET\r\n$01\r\nk\r\n", "*2\r\n$3\r\nGET\r\n$2\r\nk\r\n",
      "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n", "*2\r\n$3\r\nSET\r\n$1\r\nk\r\n", "*2\r\n$3\r\nGET\r\n$:\r\nk123456789\r\n",
      "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "*1\r\n$4\r\nPONG\r\n", "*2\r\n$3\r\nGET\r\n", "\r\n",
    ] {
      #expect(try answer(command) == nil, "\(command)")
    }
  }

  @Test("a reply is repeated, but not from another version of the value") func repetition() throws {
    set("k", "$1\r\nv\r\n", generation: 1)
    let command = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    let start = try #require(run(.syn, 99, 0).segment).sequence &+ 1
    let first = try #require(run([.psh, .ack], 100, start, command).segment)
    // Another command has joined the one that is sent again.
    let second = try #require(run([.psh, .ack], 100, start, command + command).segment)
    #expect(second.payload == first.payload && second.sequence == first.sequence)
    set("k", "$2\r\nvv\r\n", generation: 2)
    let third = try #require(run([.psh, .ack], 100, start, command).segment)
    #expect(third.flags.contains(.rst) && third.payload.isEmpty)
  }
}
