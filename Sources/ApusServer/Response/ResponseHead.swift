/// Writes the head of an answer: status line, Server, Date, then the fields given, Connection last. With Connection
/// last all heads of an answer are alike but for their ends.
///
/// The status line says HTTP/1.1 to HTTP/1.0 requests too (RFC 9110 section 6.2), and Connection says explicitly what
/// each of them would assume otherwise, so that two heads serve both versions.
struct ResponseHead {
  private var bytes: [UInt8] = []
  private let dateOffset: Int

  init(_ status: Status) {
    bytes.reserveCapacity(320)
    bytes += "HTTP/1.1 \(status.rawValue) \(status.reasonPhrase)\r\nServer: Apus\r\nDate: ".utf8
    dateOffset = bytes.count
    bytes += HTTPDate.bytes(0)
    bytes += "\r\n".utf8
  }

  mutating func add(_ name: StaticString, _ value: some Sequence<UInt8>) {
    name.withUTF8Buffer { bytes += $0 }
    bytes += ": ".utf8
    bytes += value
    bytes += "\r\n".utf8
  }

  mutating func add(_ name: StaticString, _ value: String) {
    add(name, value.utf8)
  }

  /// What the answer would be may depend on the codings the client accepts (RFC 9110 section 12.5.5).
  mutating func addVary() { add("Vary", "Accept-Encoding") }

  /// Adds field lines that are written already, each with its line end.
  mutating func add(lines: [UInt8]) { bytes += lines }

  /// The finished head; its Date is that of second 0 until somebody writes the right one over it.
  consuming func finished(persistent: Bool) -> ComposedObject.Head {
    bytes += (persistent ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n").utf8
    return ComposedObject.Head(bytes: bytes, dateOffset: dateOffset)
  }
}
