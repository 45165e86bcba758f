import Contract
import Glibc
import NIOCore

/// A file ready to be answered with: its heads made, its bytes in memory or within reach.
final class CachedFile {
  /// What was asked for.
  struct Key {
    let site: Int
    let path: [UInt8]
    let order: CodingOrder
  }

  enum Content {
    case memory(ByteBuffer)
    case open(OpenFile)
  }

  let site: Int
  let path: [UInt8]
  /// Which of the path's representations it is, and for whom.
  let choice: DocumentRoot.Negotiated
  let order: CodingOrder
  let response: FileResponse
  let content: Content
  /// A file written moments ago, or mapped for writing, may change again without showing it: it is answered, not kept.
  let isQuiet: Bool
  let persistentHead: ByteBuffer
  let closingHead: ByteBuffer
  /// Where the Date value begins in both heads.
  let dateOffset: Int
  /// CLOCK_MONOTONIC when the path was last seen to lead to this version of the file.
  var checked_ns: Int

  init(
    _ key: Key, choice: DocumentRoot.Negotiated, response: FileResponse, content: Content, isQuiet: Bool,
    checked_ns: Int
  ) {
    site = key.site
    path = key.path
    order = key.order
    self.choice = choice
    self.response = response
    self.content = content
    self.isQuiet = isQuiet
    let head = response.head(persistent: true)
    persistentHead = ByteBuffer(bytes: head.bytes)
    closingHead = ByteBuffer(bytes: response.head(persistent: false).bytes)
    dateOffset = head.dateOffset ?? 0
    self.checked_ns = checked_ns
  }

  /// Whether it is what a client of a site gets that wants the codings in an order.
  func answers(_ site: Int, _ path: UnsafeRawBufferPointer, _ order: CodingOrder) -> Bool {
    site == self.site && (self.order == order || !response.isNegotiated) && self.path.count == path.count
      && self.path.withUnsafeBytes { path.isEmpty || memcmp($0.baseAddress!, path.baseAddress!, path.count) == 0 }
  }

  /// Bytes it takes in memory, roughly.
  var cost: Int {
    let body = if case .memory(let bytes) = content { bytes.capacity } else { 0 }
    return 512 + path.count + persistentHead.capacity + closingHead.capacity + body
  }
}

/// What a path of a document root is answered with.
enum FileAnswer {
  case file(CachedFile)
  /// A directory without an index, and its site lists such.
  case directory(DocumentRoot, DocumentRootPath)
  /// A rule of the site sends the client elsewhere.
  case redirection(StatusResponse)
  case status(StatusResponse)
}

/// The files of the sites as one event loop sees them, each looked at again at most every
/// `ServerLimits.fileValidity_ms`: small ones in memory, large ones open. Every event loop has its own: nothing is
/// locked.
///
/// Looking at files and reading small ones happens on the event loop, without waiting for disks as long as the
/// kernel has them in its caches, which for a web server's small files is nearly always.
struct FileStore {
  let sites: Sites
  private var small: LeastRecentlyUsed<UInt64, CachedFile>
  /// Each costs 1.
  private var large: LeastRecentlyUsed<UInt64, CachedFile>
  /// Clients choose the paths, so the hash must not be guessable.
  private let seed = UInt64.random(in: .min ... .max)

  init(sites: Sites, bytesMax: Int, openFilesMax: Int) {
    self.sites = sites
    small = LeastRecentlyUsed(costMax: bytesMax)
    large = LeastRecentlyUsed(costMax: openFilesMax)
  }

  /// - Parameters:
  ///   - site: its place in `sites`.
  ///   - path: as sent, without its query.
  ///   - query: with its question mark; a redirection keeps it.
  ///   - order: the codings the client accepts.
  ///   - now_ns: CLOCK_MONOTONIC.
  mutating func answer(
    site: Int, path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer, order: CodingOrder = .identityOnly,
    now_ns: Int
  ) -> FileAnswer {
    var hash = hash(path, site: site)
    var known = known(hash)
    if order != .identityOnly, known?.answers(site, path, order) != true {
      hash &+= UInt64(order.rawValue) &* 0x9e37_79b9_7f4a_7c15
      known = self.known(hash)
    }
    if let file = known, !file.answers(site, path, order) { known = nil }
    if let known, now_ns - known.checked_ns < ServerLimits.fileValidity_ms * 1_000_000 { return .file(known) }
    return look(site: site, path: path, query: query, order: order, known: known, hash: hash, now_ns: now_ns)
  }

  private mutating func known(_ hash: UInt64) -> CachedFile? { small.value(hash) ?? large.value(hash) }

  /// Closes large files that nobody asks for.
  mutating func closeIdle(now_ns: Int) {
    large.removeOldest { now_ns - $0.checked_ns > ServerLimits.openFileIdle_s * 1_000_000_000 }
  }

  /// Asks the document root.
  private mutating func look(
    site: Int, path: UnsafeRawBufferPointer, query: UnsafeRawBufferPointer, order: CodingOrder, known: CachedFile?,
    hash: UInt64, now_ns: Int
  ) -> FileAnswer {
    let root = sites.roots[site]
    do {
      let parsed = try DocumentRootPath(path)
      // Only what no redirection is for comes to be known.
      if known == nil, let redirection = root.rules.redirect(parsed, query: query) {
        return .redirection(redirection)
      }
      let choice = try root.negotiate(parsed, order)
      if let known, choice == known.choice {
        known.checked_ns = now_ns
        return .file(known)
      }
      let key = CachedFile.Key(site: site, path: Array(path), order: order)
      let file = try Self.load(root, key, parsed, choice, now_ns: now_ns)
      keep(file, file.response.isNegotiated ? hash : self.hash(path, site: site), instead: hash)
      return .file(file)
    } catch {
      forget(hash)
      return Self.answer(to: error, root, path: path, query: query)
    }
  }

  /// - Parameter old: where what was known was kept.
  private mutating func keep(_ file: CachedFile, _ hash: UInt64, instead old: UInt64) {
    forget(old)
    forget(hash)
    guard file.isQuiet else { return }
    switch file.content {
    case .memory: small.insert(hash, file, cost: file.cost)
    case .open: large.insert(hash, file, cost: 1)
    }
  }

  private mutating func forget(_ hash: UInt64) {
    small.remove(hash)
    large.remove(hash)
  }

  private static func load(
    _ root: DocumentRoot, _ key: CachedFile.Key, _ parsed: DocumentRootPath, _ first: DocumentRoot.Negotiated,
    now_ns: Int
  ) throws(DocumentRootRefusal) -> CachedFile {
    var choice = first
    for attempt in 1...ServerLimits.readAttemptsMax {
      let file = try root.open(choice.path)
      let hasTellingTimes = root.quiet.hasTellingTimes(file.metadata)
      // A side-car that is not the one that was chosen may be older than its file.
      let isChosen = choice.coding == .identity || file.metadata == choice.metadata
      let isLast = attempt == ServerLimits.readAttemptsMax
      let rests = file.metadata == choice.metadata && root.quiet.wait_ms(choice.original) == 0
      if file.metadata.size > ServerLimits.cachedFileBytesMax, isChosen || isLast {
        let response = root.rules.response(
          for: parsed, metadata: file.metadata, hasValidators: isChosen && hasTellingTimes, coding: choice.coding)
        return CachedFile(
          key, choice: choice, response: response, content: .open(OpenFile(file)),
          isQuiet: rests && root.quiet.wait_ms(file.metadata) == 0, checked_ns: now_ns)
      }
      if file.metadata.size <= ServerLimits.cachedFileBytesMax {
        let body = try file.descriptor.read(file.metadata.size)
        let isWhole = try file.descriptor.metadata() == file.metadata && body.count == file.metadata.size && isChosen
        if isWhole || isLast {
          let response = root.rules.response(
            for: parsed, metadata: file.metadata, hasValidators: isWhole && hasTellingTimes,
            contentLength: body.count, coding: choice.coding)
          let isQuiet =
            isWhole && rests && (try? root.quiet.require(file.metadata, of: file.descriptor.number)) != nil
          return CachedFile(
            key, choice: choice, response: response, content: .memory(ByteBuffer(bytes: body)), isQuiet: isQuiet,
            checked_ns: now_ns)
        }
      }
      choice = try root.negotiate(parsed, key.order)
    }
    preconditionFailure("the last attempt returns")
  }

  private static func answer(
    to refusal: DocumentRootRefusal, _ root: DocumentRoot, path: UnsafeRawBufferPointer,
    query: UnsafeRawBufferPointer
  ) -> FileAnswer {
    switch refusal {
    case .badPath: return .status(StatusResponse(.badRequest))
    case .notFound:
      if root.rules.listing, let parsed = try? DocumentRootPath(path), parsed.isDirectory {
        return .directory(root, parsed)
      }
      return .status(StatusResponse.notFound(path: path))
    case .forbidden: return .status(StatusResponse(.forbidden))
    case .exhausted: return .status(StatusResponse(.serviceUnavailable))
    case .failed: return .status(StatusResponse(.internalServerError))
    case .isDirectory:
      guard let parsed = try? DocumentRootPath(path) else { return .status(StatusResponse(.badRequest)) }
      return .status(StatusResponse(.movedPermanently, location: parsed.directoryLocation + query))
    }
  }

  /// The hash of the kernel half's objects, seeded.
  private func hash(_ path: UnsafeRawBufferPointer, site: Int) -> UInt64 {
    var hash = PathHash(seed: seed, site: UInt16(truncatingIfNeeded: site))
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
