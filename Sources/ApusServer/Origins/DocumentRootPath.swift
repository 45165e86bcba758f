import Contract

/// Why a document root has no file to answer with.
enum DocumentRootRefusal: Error, Equatable {
  /// The path is no path: a broken percent-encoding, a zero byte, a dot segment.
  case badPath
  case notFound
  case forbidden
  /// The path names a directory and lacks the slash at its end.
  case isDirectory
  /// A limit of the machine: descriptors or memory.
  case exhausted(errno: Int32)
  case failed(errno: Int32)
}

/// The path of a request target, decoded and taken apart.
struct DocumentRootPath: Equatable {
  /// The names, outermost first; none is empty, `.` or `..`.
  private(set) var names: [[UInt8]] = []
  /// Whether the path ends with a slash: it can only be a directory then.
  private(set) var isDirectory = false

  static let indexName = Array("index.html".utf8)

  /// Decodes a path, without its query.
  ///
  /// - Several slashes in a row are one, as for the kernel's own path lookup.
  /// - An encoded slash is refused (404, as by Apache): it is not a separator (RFC 3986 section 2.2) and no file
  ///   name can contain it. A zero byte and dot segments, encoded or not, are refused (400): clients remove dot
  ///   segments (RFC 3986 section 5.2.4), and what is left of them is an attempt to get out.
  /// - Names that begin with a dot are hidden (404), but for `.well-known` (RFC 8615).
  init(_ raw: some Collection<UInt8>) throws(DocumentRootRefusal) {
    guard raw.first == UInt8(ascii: "/") else { throw .badPath }
    var name: [UInt8] = []
    var index = raw.index(after: raw.startIndex)
    while index != raw.endIndex {
      var byte = raw[index]
      index = raw.index(after: index)
      if byte == UInt8(ascii: "/") {
        try finish(&name)
        continue
      }
      if byte == UInt8(ascii: "%") {
        guard index != raw.endIndex, let high = raw[index].hexValue else { throw .badPath }
        index = raw.index(after: index)
        guard index != raw.endIndex, let low = raw[index].hexValue else { throw .badPath }
        index = raw.index(after: index)
        byte = high << 4 | low
        if byte == UInt8(ascii: "/") { throw .notFound }
      }
      if byte == 0 { throw .badPath }
      name.append(byte)
    }
    isDirectory = name.isEmpty
    try finish(&name)
  }

  private mutating func finish(_ name: inout [UInt8]) throws(DocumentRootRefusal) {
    guard !name.isEmpty else { return }
    if name.first == UInt8(ascii: ".") {
      if name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) { throw .badPath }
      guard name.elementsEqual(".well-known".utf8) else { throw .notFound }
    }
    names.append(name)
    name.removeAll(keepingCapacity: true)
  }

  /// The names of the file to answer with: of a directory that is its index.
  var fileNames: [[UInt8]] { isDirectory ? names + [DocumentRootPath.indexName] : names }

  /// The path of the file's side-car in a content coding.
  func sideCar(_ coding: ContentCoding) -> DocumentRootPath {
    var path = self
    path.names = fileNames
    path.names[path.names.count - 1] += coding.suffix.utf8
    path.isDirectory = false
    return path
  }

  /// The path encoded again, with a slash at its end: where a directory's representation is. It begins with exactly
  /// one slash, or a client would take its first name for a host (RFC 3986 section 4.2).
  var directoryLocation: [UInt8] {
    var location: [UInt8] = [UInt8(ascii: "/")]
    for name in names {
      for byte in name {
        if byte.isUnreserved {
          location.append(byte)
        } else {
          let hex = Array("0123456789ABCDEF".utf8)
          location += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
        }
      }
      location.append(UInt8(ascii: "/"))
    }
    return location
  }

  /// Whether the kernel half may answer requests for this path: it compares bytes, so the path must be the only
  /// spelling of itself. No percent-encoding, no empty segments, nothing but printable ASCII.
  static func isPlain(_ raw: [UInt8]) -> Bool {
    var previous: UInt8 = 0
    for byte in raw {
      guard byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "%"), byte != UInt8(ascii: "?"),
        byte != UInt8(ascii: "#"), !(byte == UInt8(ascii: "/") && previous == UInt8(ascii: "/"))
      else { return false }
      previous = byte
    }
    return raw.first == UInt8(ascii: "/")
  }
}

extension UInt8 {
  /// The value of a hexadecimal digit.
  var hexValue: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// RFC 3986 section 2.3.
  var isUnreserved: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
