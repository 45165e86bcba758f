import Contract
import Glibc
import NIOCore

/// A small file in memory with its heads made.
final class CachedFile {
  let path: [UInt8]
  let response: FileResponse
  let body: ByteBuffer
  let persistentHead: ByteBuffer
  let closingHead: ByteBuffer
  /// Where the Date value begins in both heads.
  let dateOffset: Int
  /// CLOCK_MONOTONIC when the path was last seen to lead to this version of the file.
  var checked_ns: Int

  init(path: [UInt8], response: FileResponse, body: [UInt8], checked_ns: Int) {
    self.path = path
    self.response = response
    self.body = ByteBuffer(bytes: body)
    let head = response.head(persistent: true)
    persistentHead = ByteBuffer(bytes: head.bytes)
    closingHead = ByteBuffer(bytes: response.head(persistent: false).bytes)
    dateOffset = head.dateOffset ?? 0
    self.checked_ns = checked_ns
  }

  /// Bytes it takes in memory, roughly.
  var cost: Int { 512 + path.count + persistentHead.capacity + closingHead.capacity + body.capacity }
}

/// What a path of the document root is answered with.
enum FileAnswer {
  case small(CachedFile)
  case large(DocumentRoot.File, FileResponse)
  case status(StatusResponse)
}

/// The files of a document root as one event loop sees them: small ones in memory, each looked at again at most every
/// `ServerLimits.fileValidity_ms`. Every event loop has its own: nothing is locked.
///
/// Looking at files and reading small ones happens on the event loop, without waiting for disks as long as the
/// kernel has them in its caches, which for a web server's small files is nearly always.
struct FileStore {
  private let root: DocumentRoot
  private var files: LeastRecentlyUsed<UInt64, CachedFile>
  /// Clients choose the paths, so the hash must not be guessable.
  private let seed = UInt64.random(in: .min ... .max)

  init(root: DocumentRoot, bytesMax: Int) {
    self.root = root
    files = LeastRecentlyUsed(costMax: bytesMax)
  }

  /// - Parameters:
  ///   - path: as sent, without its query.
  ///   - query: with its question mark; a redirection keeps it.
  ///   - now_ns: CLOCK_MONOTONIC.
  mutating func answer(path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer, now_ns: Int) -> FileAnswer {
    let hash = hash(path)
    let known = files.value(hash)
    if let known, known.path.elementsEqual(path) {
      if now_ns - known.checked_ns < ServerLimits.fileValidity_ms * 1_000_000 { return .small(known) }
    }
    do {
      let parsed = try DocumentRootPath(path)
      if let known, known.path.elementsEqual(path), try root.metadata(parsed) == known.response.metadata {
        known.checked_ns = now_ns
        return .small(known)
      }
      return try load(path: Array(path), parsed, hash: hash, now_ns: now_ns)
    } catch {
      files.remove(hash)
      return .status(Self.status(of: error, path: path, query: query))
    }
  }

  private mutating func load(
    path: [UInt8], _ parsed: DocumentRootPath, hash: UInt64, now_ns: Int
  ) throws(DocumentRootRefusal) -> FileAnswer {
    let name = parsed.fileNames.last ?? []
    var file = try root.open(parsed)
    for attempt in 1...ServerLimits.readAttemptsMax {
      guard file.metadata.size <= ServerLimits.cachedFileBytesMax else {
        let hasValidators = root.quiet.hasTellingTimes(file.metadata)
        return .large(file, FileResponse(name: name, metadata: file.metadata, hasValidators: hasValidators))
      }
      let body = try file.descriptor.read(file.metadata.size)
      let after = try file.descriptor.metadata()
      let isWhole = after == file.metadata && body.count == file.metadata.size
      if isWhole || attempt == ServerLimits.readAttemptsMax {
        let response = FileResponse(
          name: name, metadata: file.metadata, hasValidators: isWhole && root.quiet.hasTellingTimes(file.metadata),
          contentLength: body.count)
        let small = CachedFile(path: path, response: response, body: body, checked_ns: now_ns)
        // A file written moments ago, or mapped for writing, may change again without showing it: answered, not kept.
        if isWhole, (try? root.quiet.require(file.metadata, of: file.descriptor.number)) != nil {
          files.insert(hash, small, cost: small.cost)
        } else {
          files.remove(hash)
        }
        return .small(small)
      }
      file = try root.open(parsed)
    }
    preconditionFailure("the last attempt returns")
  }

  private static func status(
    of refusal: DocumentRootRefusal, path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer
  ) -> StatusResponse {
    switch refusal {
    case .badPath: return StatusResponse(.badRequest)
    case .notFound: return StatusResponse(.notFound)
    case .forbidden: return StatusResponse(.forbidden)
    case .exhausted: return StatusResponse(.serviceUnavailable)
    case .failed: return StatusResponse(.internalServerError)
    case .isDirectory:
      guard let parsed = try? DocumentRootPath(path) else { return StatusResponse(.badRequest) }
      return StatusResponse(.movedPermanently, location: parsed.directoryLocation + query)
    }
  }

  /// The hash of the kernel half's objects, seeded.
  private func hash(_ path: UnsafeRawBufferPointer) -> UInt64 {
    var hash = PathHash(seed: seed, site: 0)
    var offset = 0
    while offset + 8 <= path.count {
      hash.add(path.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset += 8
    }
    if offset < path.count {
      var last: UInt64 = 0
      withUnsafeMutableBytes(of: &last) { word in
        word.copyMemory(from: UnsafeRawBufferPointer(rebasing: path[offset...]))
      }
      hash.add(last)
    }
    return hash.finish(length: path.count)
  }
}
