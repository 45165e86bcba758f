import BPFKernel
import Contract
import KernelSockets
import Wire

/// Writes the part in the scratch memory into the packet.
struct PartWriter {
  let packet: PacketContext
  let memory: SocketMemory

  @inline(__always) private var connection: Connection { memory.connection.pointee }

  /// Headers, response head with its Date, body. False: the packet or the object changed under our hands.
  @inline(__always) func write() -> Bool {
    guard let record = Record(unit: connection.source) else { return false }
    let answer = Answer(record, form: connection.form)
    measure(answer)
    let headLength = memory.headLength.stored
    let bodyLength = memory.bodyLength.stored
    guard let date = Date(UInt64(connection.responseSecond)), headLength | bodyLength != 0 else { return false }
    let bodyStart = memory.part.pointee.offset &- (headLength != 0 ? 0 : UInt32(answer.headLength))
    let body = answer.bodyOffset &+ Int(bodyStart & (Transmission.copyBytesMax &- 1))
    // Of the second of the response, which its connection keeps: whatever is sent again has the same Age.
    if answer.hasAge { AgeText.write(connection.responseSecond, base_s: record.ageBase_s, to: memory.ageText) }
    let start = writeHeaders(answer, date, body: body)
    guard start != 0 else { return false }
    let bytes = UnsafeRawPointer(record.base)
    if headLength != 0 {
      let length = memory.headLength.bounded(by: Transmission.copyBytesMax)
      guard packet.store(start, from: bytes + answer.headOffset, length: length) else { return false }
      if answer.dateOffset != 0 {
        let offset = start &+ UInt32(answer.dateOffset)
        guard packet.store(offset, from: date.text, length: UInt32(DateEntry.textLength)) else { return false }
      }
      if answer.hasAge {
        let offset = start &+ length &- UInt32(AgeSlot.bytesBehind &+ AgeSlot.length)
        guard packet.store(offset, from: UnsafeRawPointer(memory.ageText), length: UInt32(AgeSlot.length)) else {
          return false
        }
      }
    }
    if bodyLength != 0 {
      let length = memory.bodyLength.bounded(by: Transmission.copyBytesMax)
      guard packet.store(start &+ UInt32(headLength), from: bytes + body, length: length) else { return false }
    }
    return record.currentGeneration == connection.generation
  }

  /// How much of head and body the part at the offset in the scratch memory has. Its offset is moved to the start if it
  /// is in the head: a client drops what it has got already.
  @inline(__always) private func measure(_ answer: Answer) {
    let part = memory.part
    let head = UInt32(answer.headLength)
    let total = answer.length
    part.pointee.responseLength = total
    var headLength: UInt32 = 0
    if part.pointee.offset < head {
      part.pointee.offset = 0
      headLength = head
    }
    let bodyStart = part.pointee.offset &+ headLength &- head
    let rest = UInt32(answer.bodyLength) &- bodyStart
    var bodyLength = rest
    if connection.owesAcknowledgement {
      let room = (UInt32(connection.payloadMax) &- headLength) & ~3
      if bodyLength > room { bodyLength = room }
      if part.pointee.isProbe != 0 && bodyLength > 1 { bodyLength = 1 }
    }
    part.pointee.end = part.pointee.offset &+ headLength &+ bodyLength
    memory.headLength.set(UInt16(truncatingIfNeeded: headLength))
    memory.bodyLength.set(UInt16(truncatingIfNeeded: bodyLength))
  }

  /// Writes the headers of the part. Returns where its payload begins, 0 if the packet could not be changed.
  @inline(__always) private func writeHeaders(_ answer: Answer, _ date: Date, body: Int) -> UInt32 {
    let part = memory.part.pointee
    let isLast = part.end == part.responseLength
    let closes = isLast && connection.state == ConnectionState.closing
    memory.reply.pointee = connection.reply(
      to: memory.segment.pointee, sequence: connection.responseSequence &+ part.offset,
      acknowledgement: connection.owesAcknowledgement ? connection.requestSequence : connection.receiveNext,
      flags: TCPFlags.ack | (isLast ? TCPFlags.psh : 0) | (closes ? TCPFlags.fin : 0))
    memory.reply.pointee.payloadLength = UInt16(truncatingIfNeeded: part.end &- part.offset)
    if !packet.checksumState.isPartial { memory.reply.pointee.payloadSum = sum(of: answer, date, body: body) }
    return Reply.write(to: packet, memory)
  }

  /// The folded sum of the part.
  @inline(__always) private func sum(of answer: Answer, _ date: Date, body: Int) -> UInt16 {
    var sum = Checksum()
    let headLength = memory.headLength.stored
    if headLength != 0 {
      sum.add(answer.headChecksum)
      if answer.dateOffset != 0 { sum.add(date.checksum, atOdd: answer.dateOffset & 1 != 0) }
      // The slot begins at an even place where the head has an even length.
      if answer.hasAge { sum.add(AgeText.sum(memory.ageText), atOdd: headLength & 1 != 0) }
    }
    let isWhole = memory.bodyLength.stored == answer.bodyLength
    sum.add(isWhole ? answer.bodyChecksum : Phases.sumBody(from: body, memory), atOdd: headLength & 1 != 0)
    return sum.folded
  }
}

/// The value of an Age, made for one response.
enum AgeText {
  /// A function of its own: when it returns, the verifier forgets the digits.
  @inline(never) static func write(_ second: UInt32, base_s: UInt32, to text: UnsafeMutablePointer<UInt64>) {
    let age_s = second &- base_s
    // A clock that was set back: the daemon drops such objects, and until then they are as new.
    text.pointee = AgeSlot.text(age_s: age_s >> 31 != 0 ? 0 : age_s)
  }

  /// Sum of the text as if it began at an even offset.
  @inline(__always) static func sum(_ text: UnsafeMutablePointer<UInt64>) -> UInt16 {
    let word = text.pointee
    var sum = Checksum()
    sum.add(UInt32(truncatingIfNeeded: word))
    sum.add(UInt32(truncatingIfNeeded: word >> 32))
    return sum.folded
  }
}

enum Transmission {
  /// A power of two not less than `Limits.responseBytesMax`, which whole answers have been held against.
  static var copyBytesMax: UInt32 { 16_384 }
}
