import Contract

/// Which of a file's representations a client gets: both halves go by the same rule.
///
/// Beside a file there may be others with its name and `.br`, `.zst` or `.gz` behind it: the same content in a content
/// coding. A side-car is used if it was modified no earlier than its file, so that one that was forgotten is not.
/// Nothing is compressed here, and nothing is cut to the other's length: a side-car has its own metadata throughout.
extension DocumentRoot {
  /// What is answered to requests for a path in one order of codings.
  struct Negotiated: Equatable {
    /// Of the file the bytes come from.
    var path: DocumentRootPath
    var coding = ContentCoding.identity
    var metadata: FileMetadata
    /// Of the file itself: its next version may be newer than the side-car.
    var original: FileMetadata
  }

  func negotiate(_ path: DocumentRootPath, _ order: CodingOrder) throws(DocumentRootRefusal) -> Negotiated {
    let original = try metadata(path)
    if order != .identityOnly, MediaType.isNegotiated(name: path.fileNames.last ?? []) {
      for coding in order.codings {
        let sideCar = path.sideCar(coding)
        if let found = try? metadata(sideCar), Self.isUsable(sideCar: found, of: original) {
          return Negotiated(path: sideCar, coding: coding, metadata: found, original: original)
        }
      }
    }
    return Negotiated(path: path, metadata: original, original: original)
  }

  static func isUsable(sideCar: FileMetadata, of file: FileMetadata) -> Bool {
    sideCar.modified_ns >= file.modified_ns
  }
}
