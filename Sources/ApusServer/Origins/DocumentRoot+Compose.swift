import Contract
import Glibc

/// Objects for the kernel half (ARCHITECTURE.md, Freshness): composed only from a file that is whole and quiet, with every name
/// on the way to it watched before it was looked up.
extension DocumentRoot: Origin {
  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    let raw = request.key.path
    guard raw.count <= Limits.pathBytesMax, DocumentRootPath.isPlain(raw) else {
      throw OriginRefusal.notStorable("not a path the kernel part compares")
    }
    do {
      let path = try DocumentRootPath(raw)
      let file = try withoutActuallyEscaping(watch) { watch in
        guard let place = try placeByWalk(path, watch: watch), let file = try open(place) else {
          throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
        }
        return file
      }
      let response = FileResponse(name: path.fileNames.last ?? [], metadata: file.metadata)
      let heads = response.kernelHeads()
      try checkStorable(file, heads: heads, pathLength: raw.count)
      let body = try file.descriptor.read(file.metadata.size)
      try quiet.require(file.metadata, of: file.descriptor.number)
      guard body.count == file.metadata.size, try file.descriptor.metadata() == file.metadata else {
        throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
      }
      return ComposedObject(heads: heads, body: body)
    } catch let refusal as DocumentRootRefusal {
      throw Self.originRefusal(refusal)
    }
  }

  private func checkStorable(_ file: File, heads: [ComposedObject.Head?], pathLength: Int) throws(OriginRefusal) {
    let size = file.metadata.size
    let longest = heads.reduce(0) { max($0, $1?.bytes.count ?? 0) }
    guard longest + size <= Limits.responseBytesMax else { throw .notStorable("too large") }
    // An upper bound: heads that are alike may be stored once. Each part may be padded to a multiple of 8.
    let allHeads = heads.reduce(0) { $0 + ($1?.bytes.count ?? 0) + 7 }
    let record = ObjectRecord.byteCount + pathLength + 7 + allHeads + size + 7
    guard record <= Limits.recordBytesMax else { throw .notStorable("too large") }
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
