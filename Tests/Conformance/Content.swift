extension Content {
  /// Why a payload is not what it must be; nil if it is.
  func difference(from payload: [UInt8]) -> String? {
    switch self {
    case .none: payload.isEmpty ? nil : "\(payload.count) bytes where none were expected"
    case .head(let status): Self.difference(in: payload, status: status, body: [])
    case .response(let status, let path):
      Self.difference(in: payload, status: status, body: status == 200 ? ServedFiles.body(path) : nil)
    }
  }

  private static func difference(in payload: [UInt8], status: Int, body: [UInt8]?) -> String? {
    guard payload.starts(with: "HTTP/1.1 \(status) ".utf8) else {
      let start = String(decoding: payload.prefix(while: { $0 != 13 }), as: UTF8.self)
      return "no response with status \(status) but \(payload.count) bytes: \(start)"
    }
    guard let length = headLength(payload) else { return "a head without its end" }
    if let body, payload[length...] != body[...] {
      return "the body's \(payload.count - length) bytes are not the file's \(body.count)"
    }
    return nil
  }

  /// Bytes of a head with its empty line, if it is whole.
  private static func headLength(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    return (4...bytes.count).first { bytes[$0 - 4..<$0].elementsEqual([13, 10, 13, 10]) }
  }

  /// Bytes of the response that begins here, as its Content-Length says; nil as long as that has not come.
  static func length(ofResponse bytes: [UInt8]) -> Int? {
    guard let head = headLength(bytes) else { return nil }
    let lines = String(decoding: bytes[..<head], as: UTF8.self).split(separator: "\r\n")
    let field = lines.first { $0.lowercased().hasPrefix("content-length:") }
    let length = field.flatMap { Int($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) }
    return length.map { head + $0 } ?? head
  }
}
