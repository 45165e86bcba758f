import Contract
import HTTPHead
import HeadReference
import KernelTestSupport
import Testing

/// Every length and every alignment: the parser takes eight and sixteen bytes at a time.
@Suite struct HeadLengthTests {
  @Test("paths of 1 to 255 bytes are understood and hashed, longer ones are not")
  func pathLengths() {
    let memory = GuardedHead()
    for length in 1...264 {
      var path = (0..<length).map { UInt8(0x21 + ($0 * 7) % 94) }
      path[0] = UInt8(ascii: "/")
      let head = bytes("GET ") + path + bytes(" HTTP/1.1\r\nHost: a\r\n\r\n")
      let parsed = memory.parse(head, seed: 42)
      if length > Limits.pathBytesMax {
        #expect(parsed == .refused(.target), "\(length)")
      } else {
        let expected = UnderstoodHead(path: path, host: Array("a".utf8), minorVersion: 1, isPersistent: true)
        #expect(parsed == .accepted(expected), "\(length)")
        #expect(memory.finishedHash(site: 7) == ReferenceHash.hash(path, seed: 42, site: 7), "\(length)")
      }
    }
  }

  @Test("hosts of 1 to 63 bytes are understood, longer ones are not, at every alignment")
  func hostLengths() {
    let memory = GuardedHead()
    let characters = bytes("abcdefghijklmnopqrstuvwxyz0123456789-.ABC")
    for shift in 0..<16 {
      for length in 1...70 {
        let host = (0..<length).map { characters[$0 % characters.count] }
        let path = bytes("/") + [UInt8](repeating: 0x78, count: shift)
        let head = bytes("GET ") + path + bytes(" HTTP/1.1\r\nHost: ") + host + bytes("\r\nX: y\r\n\r\n")
        let expected = UnderstoodHead(path: path, host: host, minorVersion: 1, isPersistent: true)
        #expect(
          memory.parse(head) == (length <= Limits.hostBytesMax ? .accepted(expected) : .refused(.hostUnknown)),
          "\(length) at \(shift)")
      }
    }
  }

  @Test("a byte that must not be there is found at every place of a line")
  func badByteAnywhere() {
    let memory = GuardedHead()
    for shift in 0..<20 {
      let front = bytes("GET /" + String(repeating: "x", count: shift) + " HTTP/1.1\r\nHost: a\r\nX: ")
      for position in 0..<40 {
        for bad: UInt8 in [0x00, 0x09, 0x0a, 0x0d, 0x1f, 0x7f, 0x80, 0xff] {
          var value = [UInt8](repeating: 0x76, count: 40)
          value[position] = bad
          #expect(
            memory.parse(front + value + bytes("\r\n\r\n")) == .refused(.headMalformed),
            "\(bad) at \(position), shift \(shift)")
        }
      }
    }
  }

  @Test("lines that end at every alignment are told apart")
  func lineEnds() {
    let memory = GuardedHead()
    for first in 0..<34 {
      for second in 0..<34 {
        let fill = { (count: Int) in String(repeating: "z", count: count) }
        let head = "GET / HTTP/1.1\r\nA: \(fill(first))\r\nB:\(fill(second))\r\nHost: a\r\nConnection: close\r\n\r\n"
        let expected = UnderstoodHead(path: [0x2f], host: [0x61], minorVersion: 1, isPersistent: false)
        #expect(memory.parse(Array(head.utf8)) == .accepted(expected), "\(first), \(second)")
      }
    }
  }

  @Test("heads of up to 2048 bytes are understood to the last byte")
  func headLengths() {
    let memory = GuardedHead()
    let front = "GET / HTTP/1.1\r\nHost: a\r\nX: "
    let expected = UnderstoodHead(path: [0x2f], host: [0x61], minorVersion: 1, isPersistent: true)
    for length in Array(40...80) + Array(1990...2048) {
      let head = front + String(repeating: "y", count: length - front.utf8.count - 4) + "\r\n\r\n"
      #expect(memory.parse(Array(head.utf8)) == .accepted(expected), "\(length)")
      #expect(memory.parse(Array(head.utf8), garbage: .previous) == .accepted(expected), "\(length)")
    }
  }

  @Test("a head that ends in the middle is never understood, whatever the buffer holds behind it")
  func truncated() {
    let memory = GuardedHead()
    for head in [BrowserHeads.curl, BrowserHeads.wrk, BrowserHeads.firefox] {
      for length in HeadBuffer.lengthMin..<head.count {
        memory.load(head, garbage: .random)
        // The rest of the head stands behind its end.
        memory.buffer.length = length
        #expect(memory.buffer.parse(hashSeed: 0) == .headIncomplete, "\(length)")
      }
    }
  }

  @Test("a query is seen wherever the question mark is")
  func queries() {
    let memory = GuardedHead()
    for length in 2...Limits.pathBytesMax {
      var path = [UInt8](repeating: 0x78, count: length)
      path[0] = 0x2f
      let end = bytes(" HTTP/1.1\r\nHost: a?\r\n\r\n")
      _ = memory.parse(bytes("GET ") + path + end)
      #expect(!memory.buffer.hasQuery, "\(length)")
      for position in Set([1, 6, 7, 8, 9, length / 2, length - 1].filter { (1..<length).contains($0) }) {
        var withQuery = path
        withQuery[position] = 0x3f
        _ = memory.parse(bytes("GET ") + withQuery + end)
        #expect(memory.buffer.hasQuery, "\(position) of \(length)")
      }
    }
  }

  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}
