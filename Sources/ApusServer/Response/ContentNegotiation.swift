import Contract
import HTTPHead

extension ContentCoding {
  /// The value of Content-Encoding (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
  var name: String? {
    switch self {
    case .identity: nil
    case .brotli: "br"
    case .zstandard: "zstd"
    case .gzip: "gzip"
    }
  }

  /// What a side-car's name has more than its file's.
  var suffix: String {
    switch self {
    case .identity: ""
    case .brotli: ".br"
    case .zstandard: ".zst"
    case .gzip: ".gz"
    }
  }

  /// Those that files lie beside other files in.
  static let sideCars: [ContentCoding] = [.brotli, .zstandard, .gzip]
}

extension CodingOrder {
  /// The codings up to identity, which is not among them.
  var codings: [ContentCoding] {
    var codings: [ContentCoding] = []
    for place in 0..<ContentCoding.count {
      guard let coding = ContentCoding(rawValue: UInt8(coding(at: place))), coding != .identity else { break }
      codings.append(coding)
    }
    return codings
  }

  /// What a value of Accept-Encoding asks for, read by the kernel half's own code; what that does not understand asks
  /// for nothing.
  init(acceptEncoding value: UnsafeRawBufferPointer) {
    // Nothing the kernel half understands is as long.
    let lengthMax = 1024
    guard value.count <= lengthMax else {
      self = .identityOnly
      return
    }
    self = withUnsafeTemporaryAllocation(byteCount: HeadBuffer.byteCount, alignment: 8) { memory in
      let start = HeadBuffer.lengthMin
      let buffer = HeadBuffer(memory.baseAddress!)
      UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + value.count]).copyMemory(from: value)
      // The parser reads words, and looks at the byte behind a value.
      for offset in start + value.count..<start + value.count + 16 { memory[offset] = 0 }
      return buffer.readCodings(at: start, length: value.count) ? buffer.codingOrder : .identityOnly
    }
  }
}
