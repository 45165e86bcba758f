import Glibc

/// Reads HTTP/1 requests (RFC 9112) to the last byte, strictly: what two recipients could understand differently is
/// refused.
///
/// The parser keeps offsets, not bytes. Its caller collects the bytes of a connection and gives all that have come
/// since the end of the last request; each line is looked at once, when it is whole. A body goes with its head: it is
/// small and thrown away, or left.
struct RequestParser {
  enum Outcome: Equatable {
    /// The request goes on in bytes that have not come.
    case incomplete
    /// A request and its body, in so many bytes.
    case request(RequestHead, length: Int)
    case failed(RequestError)
  }

  private enum Phase {
    case requestLine
    case fields
    case body(end: Int)
    case chunkSize
    case chunk(end: Int)
    case trailers
  }

  private var phase = Phase.requestLine
  private var head = RequestHead()
  private var framing = RequestFraming()
  /// Where the next line begins.
  private var lineStart = 0
  /// Up to here there is no line end.
  private var scanned = 0
  private var emptyLines = 0
  private var fieldLines = 0
  private var bodyStart = 0
  private let classes = ByteClass.shared
  private let leavesBodies: Bool

  /// - Parameter leavesBodies: whether bodies are the caller's, of any size (`RequestHead.framing`).
  init(leavesBodies: Bool = false) { self.leavesBodies = leavesBodies }

  /// Whether nothing of a request has come.
  var isBetweenRequests: Bool {
    if case .requestLine = phase { return scanned == 0 }
    return false
  }

  /// Goes on with all the bytes since the end of the last request.
  ///
  /// After a request or a failure the parser is as new; the caller drops the request's bytes.
  mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    do {
      while true {
        switch phase {
        case .body(let end):
          return bytes.count < end ? .incomplete : finish(length: end)
        case .chunk(let end):
          guard try skipChunk(bytes, end: end) else { return .incomplete }
        case .requestLine, .fields, .chunkSize, .trailers:
          guard let line = try nextLine(bytes) else { return .incomplete }
          if let length = try take(line, of: bytes) { return finish(length: length) }
        }
      }
    } catch {
      var failure = error
      failure.isHead = head.method == .head
      self = RequestParser(leavesBodies: leavesBodies)
      return .failed(failure)
    }
  }

  private mutating func finish(length: Int) -> Outcome {
    let outcome = Outcome.request(head, length: length)
    self = RequestParser(leavesBodies: leavesBodies)
    return outcome
  }

  // MARK: Lines

  /// The next whole line without its CRLF. A bare LF is no line end (RFC 9112 section 2.2 allows to take it for one;
  /// requests have been smuggled through servers that did).
  private mutating func nextLine(_ bytes: UnsafeRawBufferPointer) throws(RequestError) -> Range<Int>? {
    if scanned < bytes.count,
      let found = memchr(bytes.baseAddress! + scanned, 0x0a, bytes.count - scanned)
    {
      let end = UnsafeRawPointer(found) - bytes.baseAddress!
      scanned = end + 1
      guard end > lineStart, bytes[end - 1] == 0x0d else {
        throw RequestError(.badRequest, "line ends with a bare LF")
      }
      try checkLength(bytes, lineEnd: end - 1)
      defer { lineStart = end + 1 }
      return lineStart..<end - 1
    }
    scanned = bytes.count
    // What cannot become right is refused at once, not when the line is complete: TLS on this port, say.
    if case .requestLine = phase, let first = bytes.count > lineStart ? bytes[lineStart] : nil,
      !classes.contains(first, ByteClass.token), first != 0x0d
    {
      throw RequestError(.badRequest, "no method")
    }
    try checkLength(bytes, lineEnd: bytes.count)
    return nil
  }

  private func checkLength(_ bytes: UnsafeRawBufferPointer, lineEnd: Int) throws(RequestError) {
    switch phase {
    case .requestLine: try checkRequestLineLength(UnsafeRawBufferPointer(rebasing: bytes[lineStart..<lineEnd]))
    case .fields:
      guard lineEnd <= ServerLimits.headBytesMax else { throw RequestError(.headTooLarge, "head too large") }
    case .chunkSize, .trailers, .body, .chunk:
      guard lineEnd - bodyStart <= ServerLimits.bodyBytesMax else {
        throw RequestError(.contentTooLarge, "body too large")
      }
    }
  }

  /// Which part of a request line is too long (RFC 9112 section 3).
  private func checkRequestLineLength(_ line: UnsafeRawBufferPointer) throws(RequestError) {
    // " HTTP/1.1" and the two limits.
    guard line.count > ServerLimits.methodBytesMax else { return }
    guard let space = line.prefix(ServerLimits.methodBytesMax + 1).firstIndex(of: 0x20) else {
      throw RequestError(.notImplemented, "method too long")
    }
    guard line.count - space - 1 > ServerLimits.targetBytesMax else { return }
    let target = line[(space + 1)...].prefix(ServerLimits.targetBytesMax + 1)
    guard target.contains(0x20) else { throw RequestError(.targetTooLong, "target too long") }
    guard line.count - space - 1 <= ServerLimits.targetBytesMax + 16 else {
      throw RequestError(.badRequest, "request line too long")
    }
  }

  /// Takes a line; the length of the whole request where it was the last one.
  private mutating func take(_ line: Range<Int>, of bytes: UnsafeRawBufferPointer) throws(RequestError) -> Int? {
    switch phase {
    case .requestLine:
      guard !line.isEmpty else {
        emptyLines += 1
        guard emptyLines <= ServerLimits.emptyLinesMax else { throw RequestError(.badRequest, "empty lines") }
        return nil
      }
      try RequestLine.parse(bytes, line, into: &head, classes)
      phase = .fields
    case .fields:
      guard line.isEmpty else {
        fieldLines += 1
        guard fieldLines <= ServerLimits.fieldLinesMax else { throw RequestError(.headTooLarge, "field lines") }
        try framing.take(bytes, line, into: &head, classes)
        return nil
      }
      return try finishHead()
    case .chunkSize:
      try takeChunkSize(UnsafeRawBufferPointer(rebasing: bytes[line]))
    case .trailers:
      // Read as field lines must be written, and thrown away with the body.
      guard !line.isEmpty else { return lineStart }
      _ = try FieldLine(bytes, line, classes)
    case .body, .chunk:
      preconditionFailure("bodies have no lines")
    }
    return nil
  }

  // MARK: Bodies

  /// Decides how the request is delimited (RFC 9112 section 6.3).
  private mutating func finishHead() throws(RequestError) -> Int? {
    let body = try framing.finish(&head)
    bodyStart = lineStart
    if leavesBodies {
      head.hasBody = body != .none
      head.framing = body
      head.expectsContinue = framing.expectsContinue
      return lineStart
    }
    switch body {
    case .none: return lineStart
    case .length(let length):
      head.hasBody = true
      head.bodyIsTooLarge = length > ServerLimits.bodyBytesMax
      head.leavesBody = head.bodyIsTooLarge || (framing.expectsContinue && length > 0)
      if head.leavesBody { return lineStart }
      phase = .body(end: lineStart + length)
    case .chunked:
      head.hasBody = true
      head.leavesBody = framing.expectsContinue
      if head.leavesBody { return lineStart }
      phase = .chunkSize
    case .untilClose: preconditionFailure("a request does not end with its connection")
    }
    return nil
  }

  /// `chunk-size [ chunk-ext ]` (RFC 9112 section 7.1).
  private mutating func takeChunkSize(_ line: UnsafeRawBufferPointer) throws(RequestError) {
    var size = 0
    var digits = 0
    for byte in line {
      guard let value = byte.hexValue else { break }
      digits += 1
      size = size << 4 | Int(value)
      guard size <= ServerLimits.bodyBytesMax else { throw RequestError(.contentTooLarge, "chunk too large") }
    }
    let rest = line[digits...]
    guard digits > 0, digits <= 16, classes.all(UnsafeRawBufferPointer(rebasing: rest), ByteClass.fieldValue),
      rest.isEmpty || rest.drop(while: { $0 == 0x20 || $0 == 0x09 }).first == UInt8(ascii: ";")
    else { throw RequestError(.badRequest, "chunk size") }
    phase = size == 0 ? .trailers : .chunk(end: lineStart + size)
  }

  /// Passes over a chunk's data and the CRLF behind it, once both are there.
  private mutating func skipChunk(_ bytes: UnsafeRawBufferPointer, end: Int) throws(RequestError) -> Bool {
    guard end + 2 - bodyStart <= ServerLimits.bodyBytesMax else {
      throw RequestError(.contentTooLarge, "body too large")
    }
    guard bytes.count >= end + 2 else { return false }
    guard bytes[end] == 0x0d, bytes[end + 1] == 0x0a else { throw RequestError(.badRequest, "chunk end") }
    lineStart = end + 2
    scanned = lineStart
    phase = .chunkSize
    return true
  }
}
