import Testing

@testable import Loading

@Suite struct AnswerReaderTests {
  private static let answer = Array("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nDate: now\r\n\r\nhello".utf8)

  /// How many answers are complete after each piece.
  private func read(_ pieces: [[UInt8]]) throws -> [Int] {
    var reader = AnswerReader()
    return try pieces.map { piece in try piece.withUnsafeBytes { try reader.read($0) } }
  }

  @Test func `whole answers, one or several at once`() throws {
    #expect(try read([Self.answer, Self.answer + Self.answer]) == [1, 2])
  }

  @Test func `an answer in two pieces, cut anywhere`() throws {
    for cut in 1..<Self.answer.count {
      let pieces = [Array(Self.answer.prefix(cut)), Self.answer.dropFirst(cut) + Self.answer]
      #expect(try read(pieces) == [0, 2], "cut at \(cut)")
    }
  }

  @Test func `an answer byte by byte`() throws {
    let complete = try read(Self.answer.map { [$0] })
    #expect(complete.dropLast().allSatisfy { $0 == 0 } && complete.last == 1)
  }

  @Test func `an empty body, and a name in other letters`() throws {
    #expect(try read([Array("HTTP/1.1 200 OK\r\nCONTENT-length:0\r\n\r\n".utf8)]) == [1])
  }

  @Test(arguments: [
    ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", AnswerReader.Fault.status),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .contentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", .contentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", .contentLength),
  ])
  func `what is no answer to count off is an error`(text: String, fault: AnswerReader.Fault) {
    #expect(throws: fault) { try read([Array(text.utf8)]) }
  }

  @Test func `a head without an end is an error`() {
    #expect(throws: AnswerReader.Fault.headTooLong) {
      try read(Array(repeating: Array(Self.answer.prefix(40)), count: 300))
    }
  }
}
