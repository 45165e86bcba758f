import Contract
import Glibc
import NIOCore

/// A small file in memory with its heads made.
final class CachedFile {
  let path: [UInt8]
  /// Which of the path's representations it is, and for whom.
  let choice: DocumentRoot.Negotiated
  let order: CodingOrder
  let response: FileResponse
  let body: ByteBuffer
  let persistentHead: ByteBuffer
  let closingHead: ByteBuffer
  /// Where the Date value begins in both heads.
  let dateOffset: Int
  /// CLOCK_MONOTONIC when the path was last seen to lead to this version of the file.
  var checked_ns: Int

  init(
    path: [UInt8], choice: DocumentRoot.Negotiated, order: CodingOrder, response: FileResponse, body: [UInt8],
    checked_ns: Int
  ) {
    self.path = path
    self.choice = choice
    self.order = order
    self.response = response
    self.body = ByteBuffer(bytes: body)
    let head = response.head(persistent: true)
    persistentHead = ByteBuffer(bytes: head.bytes)
    closingHead = ByteBuffer(bytes: response.head(persistent: false).bytes)
    dateOffset = head.dateOffset ?? 0
    self.checked_ns = checked_ns
  }

  /// Whether it is what a client gets that wants the codings in an order.
  func answers(_ path: UnsafeRawBufferPointer, _ order: CodingOrder) -> Bool {
    self.path.elementsEqual(path) && (self.order == order || !response.isNegotiated)
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
  ///   - order: the codings the client accepts.
  ///   - now_ns: CLOCK_MONOTONIC.
  mutating func answer(
    path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer, order: CodingOrder = .identityOnly, now_ns: Int
  ) -> FileAnswer {
    var hash = hash(path)
    var known = files.value(hash)
    if order != .identityOnly, known?.answers(path, order) != true {
      hash &+= UInt64(order.rawValue) &* 0x9e37_79b9_7f4a_7c15
      known = files.value(hash)
    }
    if let known, known.answers(path, order) {
      if now_ns - known.checked_ns < ServerLimits.fileValidity_ms * 1_000_000 { return .small(known) }
    }
    do {
      let parsed = try DocumentRootPath(path)
      let choice = try root.negotiate(parsed, order)
      if let known, known.answers(path, order), choice == known.choice {
        known.checked_ns = now_ns
        return .small(known)
      }
      let key = CacheKey(path: Array(path), order: order, hash: hash)
      return try load(key, parsed, choice, now_ns: now_ns)
    } catch {
      files.remove(hash)
      return .status(Self.status(of: error, path: path, query: query))
    }
  }

  private struct CacheKey {
    let path: [UInt8]
    let order: CodingOrder
    let hash: UInt64
  }

  private mutating func load(
    _ key: CacheKey, _ parsed: DocumentRootPath, _ first: DocumentRoot.Negotiated, now_ns: Int
  ) throws(DocumentRootRefusal) -> FileAnswer {
    let name = parsed.fileNames.last ?? []
    var choice = first
    for attempt in 1...ServerLimits.readAttemptsMax {
      let file = try root.open(choice.path)
      guard file.metadata.size <= ServerLimits.cachedFileBytesMax else {
        let hasValidators = root.quiet.hasTellingTimes(file.metadata)
        return .large(
          file,
          FileResponse(name: name, metadata: file.metadata, hasValidators: hasValidators, coding: choice.coding))
      }
      let body = try file.descriptor.read(file.metadata.size)
      let after = try file.descriptor.metadata()
      // A side-car that is not the one that was chosen may be older than its file.
      let isWhole =
        after == file.metadata && body.count == file.metadata.size
        && (choice.coding == .identity || after == choice.metadata)
      if isWhole || attempt == ServerLimits.readAttemptsMax {
        let response = FileResponse(
          name: name, metadata: file.metadata, hasValidators: isWhole && root.quiet.hasTellingTimes(file.metadata),
          contentLength: body.count, coding: choice.coding)
        let small = CachedFile(
          path: key.path, choice: choice, order: key.order, response: response, body: body, checked_ns: now_ns)
        // A file written moments ago, or mapped for writing, may change again without showing it: answered, not kept.
        if isWhole, after == choice.metadata, root.quiet.wait_ms(choice.original) == 0,
          (try? root.quiet.require(file.metadata, of: file.descriptor.number)) != nil
        {
          files.insert(response.isNegotiated ? key.hash : hash(key.path), small, cost: small.cost)
        } else {
          files.remove(key.hash)
        }
        return .small(small)
      }
      choice = try root.negotiate(parsed, key.order)
    }
    preconditionFailure("the last attempt returns")
  }

  private func hash(_ path: [UInt8]) -> UInt64 { path.withUnsafeBytes { hash($0) } }

  private static func status(
    of refusal: DocumentRootRefusal, path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer
  ) -> StatusResponse {
    switch refusal {
    case .badPath: return StatusResponse(.badRequest)
    case .notFound: return StatusResponse.notFound(path: path)
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
