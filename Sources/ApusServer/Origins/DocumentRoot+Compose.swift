import Contract
import Glibc

/// Objects for the kernel half (ARCHITECTURE.md, Freshness): composed only from files that are whole and quiet, with
/// every name on the way to them watched before it was looked up.
extension DocumentRoot: Origin {
  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    let raw = request.key.path
    guard raw.count <= Limits.pathBytesMax, DocumentRootPath.isPlain(raw) else {
      throw OriginRefusal.notStorable("not a path the kernel part compares")
    }
    do {
      let path = try DocumentRootPath(raw)
      guard rules.redirect(path, query: []) == nil else { throw OriginRefusal.notStorable("redirected") }
      // The file and its side-cars have most of their names in common.
      var watched: Set<NameDependency> = []
      return try withoutActuallyEscaping(watch) { watch in
        try compose(path, pathLength: raw.count) { if watched.insert($0).inserted { try watch($0) } }
      }
    } catch DocumentRootRefusal.notFound where raw.last != UInt8(ascii: "/") && rules.leaves(.notFound) {
      // What the answer depends on is watched: the first name of the path that is not there, and those before it.
      return ComposedObject(StatusResponse.notFound(path: raw).representation(), isNegative: true)
    } catch DocumentRootRefusal.isDirectory where rules.leaves(.movedPermanently) {
      let location = try DocumentRootPath(raw).directoryLocation
      return ComposedObject(StatusResponse(.movedPermanently, location: location).representation())
    } catch let refusal as DocumentRootRefusal {
      throw Self.originRefusal(refusal)
    }
  }

  /// One representation of a file, opened.
  private struct Part {
    let coding: ContentCoding
    let file: File
    let response: FileResponse
    var size: Int { file.metadata.size }
  }

  private func compose(
    _ path: DocumentRootPath, pathLength: Int, watch: @escaping (NameDependency) throws -> Void
  ) throws -> ComposedObject {
    let name = path.fileNames.last ?? []
    let original = try open(path, watch: watch)
    var parts: [Part] = []
    if MediaType.isNegotiated(name: name) {
      for coding in ContentCoding.sideCars {
        guard let file = try openSideCar(path.sideCar(coding), of: original, watch: watch) else { continue }
        let response = rules.response(for: path, metadata: file.metadata, coding: coding)
        parts.append(Part(coding: coding, file: file, response: response))
      }
    }
    let response = rules.response(for: path, metadata: original.metadata)
    parts.append(Part(coding: .identity, file: original, response: response))
    let chosen = try Self.fitting(parts, pathLength: pathLength)
    var object = ComposedObject(representations: .init(repeating: .none, count: ContentCoding.count))
    for part in parts {
      object.representations[Int(part.coding.rawValue)] =
        chosen.contains(part.coding) ? .stored(part.response.representation(try Self.read(part.file))) : .elsewhere
    }
    for part in parts {
      try quiet.require(part.file.metadata, of: part.file.descriptor.number)
      guard try part.file.descriptor.metadata() == part.file.metadata else {
        throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
      }
    }
    return object
  }

  private func open(
    _ path: DocumentRootPath, watch: @escaping (NameDependency) throws -> Void
  ) throws -> File {
    guard let place = try placeByWalk(path, watch: watch), let file = try open(place) else {
      throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
    }
    return file
  }

  /// `nil`: there is no side-car that is used.
  private func openSideCar(
    _ path: DocumentRootPath, of original: File, watch: @escaping (NameDependency) throws -> Void
  ) throws -> File? {
    do {
      let file = try open(path, watch: watch)
      return Self.isUsable(sideCar: file.metadata, of: original.metadata) ? file : nil
    } catch let refusal as DocumentRootRefusal {
      switch refusal {
      case .notFound, .isDirectory, .forbidden, .badPath: return nil
      case .exhausted, .failed: throw refusal
      }
    }
  }

  private static func read(_ file: File) throws -> [UInt8] {
    let body = try file.descriptor.read(file.metadata.size)
    guard body.count == file.metadata.size else {
      throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
    }
    return body
  }

  /// Those of the representations that fit into one record, in the order Apus prefers them.
  private static func fitting(_ parts: [Part], pathLength: Int) throws(OriginRefusal) -> Set<ContentCoding> {
    var chosen: Set<ContentCoding> = []
    var record = ObjectRecord.byteCount + pathLength + 7
    for part in parts {
      let heads = [true, false].map {
        (part.response.head(persistent: $0), part.response.notModifiedHead(persistent: $0))
      }
      guard heads.allSatisfy({ $0.0.bytes.count + part.size <= Limits.responseBytesMax }) else { continue }
      // An upper bound: each part may be padded to a multiple of 8.
      let allHeads = heads.reduce(0) { $0 + $1.0.bytes.count + $1.1.bytes.count + 14 }
      let validators = part.response.tag.bytes.count + DateEntry.textLength
      let size = StoredRepresentation.byteCount + validators + allHeads + part.size + 7
      if record + size > Limits.recordBytesMax { continue }
      record += size
      chosen.insert(part.coding)
    }
    guard !chosen.isEmpty else { throw .notStorable("too large") }
    return chosen
  }

  private static func originRefusal(_ refusal: DocumentRootRefusal) -> OriginRefusal {
    switch refusal {
    case .badPath: .notStorable("bad path")
    case .notFound: .notStorable("not found")
    case .forbidden: .notStorable("forbidden")
    case .isDirectory: .notStorable("a directory")
    case .exhausted(let error), .failed(let error): .failed(String(cString: strerror(error)))
    }
  }
}
