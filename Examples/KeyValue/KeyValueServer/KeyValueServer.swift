import BPFKernel
import KernelSockets
import Wire

/// GET and PING of the Redis protocol, in the kernel, with values the host program writes into a map. Every other
/// command, and every key that is not in the map, goes with its connection to the server behind: a Redis, unmodified.
@section("tc") @used @c(keyvalue_ingress)
public func keyValueIngress(_ context: UnsafeMutableRawPointer) -> Int32 {
  KeyValueServer.run(PacketContext(context)).rawValue
}

/// Keys of up to 32 bytes, filled with zeros, to `Value`s of 520 bytes.
@section("maps") public nonisolated(unsafe) var valuesMap: MapDefinition = (1, 32, 520, 4096, 0)

/// The layout of a value; the host program writes it.
public enum Value {
  public static var keyBytesMax: Int { 32 }
  /// Of a reply as Redis would send it: `$5\r\nhello\r\n`.
  public static var replyBytesMax: Int { 512 }
  /// UInt32: changes with the value, and is never the same again. Then UInt32: bytes of the reply. Then the reply.
  public static var lengthOffset: Int { 4 }
  public static var replyOffset: Int { 8 }
  public static var byteCount: Int { replyOffset &+ replyBytesMax }
}

struct KeyValueServer: SimpleSocketServer {
  let packet: PacketContext
  let memory: SocketMemory
  let settings: UnsafeMutablePointer<SocketSettings>

  @inline(__always)
  init(_ packet: PacketContext, _ memory: SocketMemory, _ settings: UnsafeMutablePointer<SocketSettings>) {
    self.packet = packet
    self.memory = memory
    self.settings = settings
  }

  func receive() -> Step {
    if !isPayloadLoaded { return .handOver(code: 0) }
    let length = reply(to: Int(segment.payloadLength))
    return length == 0 ? .handOver(code: 0) : send(length: length, generation: generation.pointee)
  }

  /// The client has sent its command again; perhaps more has joined it. A reply of another version of the value must not
  /// follow a part of the first one.
  func canRepeat() -> Bool {
    reply(to: Int(connection.requestLength)) != 0 && generation.pointee == connection.generation
  }

  /// The version of the value the reply is made from; 0 for PONG.
  @inline(__always) private var generation: UnsafeMutablePointer<UInt32> {
    (memory.server + Value.keyBytesMax).assumingMemoryBound(to: UInt32.self)
  }

  /// Puts the reply to a command of so many bytes in the command's place, and returns its length; 0: there is none here.
  @inline(never) private func reply(to length: Int) -> UInt32 {
    let command = UnsafeRawPointer(memory.payload)
    generation.pointee = 0
    // *1 $4 PING
    if length == 14 && command.word64(0) == 0x0a0d_3424_0a0d_312a && command.word32(8) == 0x474e_4950
      && command.word16(12) == 0x0a0d
    {
      // +PONG
      memory.payload.put64(0x000a_0d47_4e4f_502b, 0)
      return 7
    }
    // *2 $3 GET $
    if length < 20 || command.word64(0) != 0x0a0d_3324_0a0d_322a || command.word32(8) != 0x0d54_4547
      || command.word16(12) != 0x240a
    {
      return 0
    }
    return readKey(command, length) ? readValue() : 0
  }

  /// Copies the key, whose length stands at 14 in one or two digits, to the server's memory. False: it is not plain.
  @inline(__always) private func readKey(_ command: UnsafeRawPointer, _ length: Int) -> Bool {
    var count = Int(command.word8(14)) &- 48
    var start = 17
    if count < 1 || count > 9 { return false }
    if command.word16(15) != 0x0a0d {
      let digit = Int(command.word8(15)) &- 48
      if digit < 0 || digit > 9 { return false }
      count = count &* 10 &+ digit
      start = 18
    }
    // What is said of the length agrees with what there is of it: one command, to the last byte.
    if count > Value.keyBytesMax || length != start &+ count &+ 2 { return false }
    if (command + start).word16(-2) != 0x0a0d || (command + (length & 63)).word16(-2) != 0x0a0d { return false }
    for word in 0..<4 {
      let left = count &- word &* 8
      let mask: UInt64 = left >= 8 ? ~0 : left <= 0 ? 0 : (1 &<< UInt64((left & 7) &* 8)) &- 1
      memory.server.put64((command + start).word64(word &* 8) & mask, word &* 8)
    }
    return true
  }

  /// Copies the reply of the key in the server's memory to the payload.
  @inline(__always) private func readValue() -> UInt32 {
    let values = HashMap<Word, Word>(&valuesMap)
    guard let found = values.value(at: UnsafeRawPointer(memory.server)) else { return 0 }
    let value = UnsafeRawPointer(found)
    generation.pointee = value.word32(0)
    let length = value.word32(Value.lengthOffset)
    if length == 0 || length > UInt32(Value.replyBytesMax) { return 0 }
    for word in 0..<Value.replyBytesMax / 8 {
      memory.payload.put64(value.word64(Value.replyOffset &+ word &* 8), word &* 8)
    }
    // The element may have become another key's meanwhile: the kernel uses it again at once.
    return value.word32(0) == generation.pointee ? length : 0
  }

  /// Stands for keys and values, which are only bytes here.
  private typealias Word = UInt64
}
