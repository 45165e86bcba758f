import CLinux
import Glibc
import Synchronization

/// A directory whose files are the objects: the origin of the kernel half and the file source of the user half.
final class DocumentRoot: Sendable {
  /// The absolute path as it was given. Symbolic links in it are followed anew all the time: turning a link
  /// `current` to another directory is how releases are switched.
  let path: String
  let rules: SiteRules
  let quiet = QuietFiles()
  let rootNames: [[UInt8]]
  private let cachedRoot = Mutex(CachedRoot())

  private struct CachedRoot {
    var descriptor: Descriptor?
    var opened_ns = 0
  }

  /// A file found and opened for reading, and what fstat(2) said of it.
  struct File: Sendable {
    let descriptor: Descriptor
    let metadata: FileMetadata
  }

  struct CannotServe: Error, Equatable, CustomStringConvertible {
    let description: String
  }

  /// - Parameters:
  ///   - path: absolute, or relative to the working directory.
  ///   - rules: how its files are answered.
  /// - Throws: `CannotServe` where it is no directory that can be opened.
  init(path: String, rules: SiteRules = SiteRules()) throws {
    self.rules = rules
    var absolute = path
    if !path.hasPrefix("/") {
      guard let working = getcwd(nil, 0) else { throw CannotServe(description: "the working directory is gone") }
      absolute = String(cString: working) + "/" + path
      free(working)
    }
    self.path = absolute
    rootNames = PathWalk.names(absolute.utf8)
    let number = Glibc.open(absolute, O_PATH | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else {
      throw CannotServe(description: "cannot serve \(path): \(String(cString: strerror(errno)))")
    }
    let here = BeneathOpen.open(
      [[UInt8(ascii: ".")]], beneath: Descriptor(owning: number), flags: O_PATH, links: .followedBeneath)
    if case .refused(.failed(ENOSYS)) = here {
      throw CannotServe(description: "cannot serve \(path): there is no openat2(2), which Linux has since 5.6")
    }
  }

  // MARK: For the user half

  /// Opens the file that answers requests for a path.
  func open(_ path: DocumentRootPath) throws(DocumentRootRefusal) -> File {
    for _ in 0..<ServerLimits.readAttemptsMax {
      if let place = try place(of: path), let file = try open(place) { return file }
    }
    throw .failed(errno: EAGAIN)
  }

  /// What fstat(2) says of the file that answers requests for a path. The file itself is not opened.
  func metadata(_ path: DocumentRootPath) throws(DocumentRootRefusal) -> FileMetadata {
    for _ in 0..<ServerLimits.readAttemptsMax {
      if let place = try place(of: path) { return place.metadata }
    }
    throw .failed(errno: EAGAIN)
  }

  // MARK: Finding

  /// A file found: how it is reached from which directory, and what it was when it was found.
  struct Place {
    var root: Descriptor
    var names: [[UInt8]]
    var links: BeneathOpen.Links
    var metadata: FileMetadata
  }

  /// Looks a path up, by the kernel if it can; by a walk where a link's target is absolute, or leaves the root and
  /// comes back, which the kernel refuses without looking where it ends. `nil`: something moved meanwhile.
  private func place(of path: DocumentRootPath) throws(DocumentRootRefusal) -> Place? {
    let root = try currentRoot()
    switch BeneathOpen.open(path.fileNames, beneath: root, flags: O_PATH, links: .followedBeneath) {
    case .opened(let descriptor):
      let metadata = try Self.checked(descriptor, path)
      return Place(root: root, names: path.fileNames, links: .followedBeneath, metadata: metadata)
    case .refused(let refusal):
      throw refusal
    case .escapes:
      do {
        return try placeByWalk(path, watch: nil)
      } catch {
        throw error as? DocumentRootRefusal ?? .failed(errno: EIO)
      }
    }
  }

  /// Looks a path up name by name from the root of the file system. `nil`: something moved meanwhile.
  func placeByWalk(_ path: DocumentRootPath, watch: ((NameDependency) throws -> Void)?) throws -> Place? {
    var walk = PathWalk(watch: watch)
    try walk.follow(rootNames)
    let rootReal = walk.real
    let top = try Self.openDirectory(walk.absolutePath)
    try walk.follow(path.fileNames)
    let isBeneath = walk.real.count > rootReal.count && walk.real.starts(with: rootReal)
    guard isBeneath || rules.linksLeadOut else { throw DocumentRootRefusal.forbidden }
    let root = isBeneath ? top : try Self.openDirectory([UInt8(ascii: "/")])
    let names = isBeneath ? Array(walk.real[rootReal.count...]) : walk.real
    switch BeneathOpen.open(names, beneath: root, flags: O_PATH, links: .none) {
    case .opened(let descriptor):
      return Place(root: root, names: names, links: .none, metadata: try Self.checked(descriptor, path))
    case .refused(let refusal): throw refusal
    case .escapes: return nil
    }
  }

  /// Only regular files are answered. What else it is is asked of a descriptor that is no opening (O_PATH): to open
  /// a device or a FIFO can have effects.
  private static func checked(
    _ descriptor: Descriptor, _ path: DocumentRootPath
  ) throws(DocumentRootRefusal) -> FileMetadata {
    let metadata = try descriptor.metadata()
    if metadata.isRegularFile { return metadata }
    throw metadata.isDirectory && !path.isDirectory ? .isDirectory : .notFound
  }

  /// Opens what was found for reading. `nil`: it is no longer what it was.
  func open(_ place: Place) throws(DocumentRootRefusal) -> File? {
    let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY
    switch BeneathOpen.open(place.names, beneath: place.root, flags: flags, links: place.links) {
    case .opened(let descriptor):
      let metadata = try descriptor.metadata()
      guard metadata.isSameFile(as: place.metadata) else { return nil }
      return File(descriptor: descriptor, metadata: metadata)
    case .refused(let refusal): throw refusal
    case .escapes: return nil
    }
  }

  // MARK: The root

  /// The root directory, opened anew once its descriptor is `fileValidity_ms` old.
  func currentRoot() throws(DocumentRootRefusal) -> Descriptor {
    let now_ns = QuietFiles.clock_ns(CLOCK_MONOTONIC)
    let known = cachedRoot.withLock { root in
      now_ns - root.opened_ns < ServerLimits.fileValidity_ms * 1_000_000 ? root.descriptor : nil
    }
    if let known { return known }
    let descriptor = try Self.openDirectory(path.utf8)
    cachedRoot.withLock { $0 = CachedRoot(descriptor: descriptor, opened_ns: now_ns) }
    return descriptor
  }

  static func openDirectory(_ path: some Sequence<UInt8>) throws(DocumentRootRefusal) -> Descriptor {
    let text = path.map(CChar.init(bitPattern:)) + [0]
    let number = Glibc.open(text, O_PATH | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw BeneathOpen.refusal(errno) }
    return Descriptor(owning: number)
  }
}
