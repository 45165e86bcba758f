import Contract
import Glibc

/// An unmodified server behind: its objects are its own answers, learned by asking it as clients would.
///
/// With a root, a directory the server's files are below, that tells when an answer changes. An answer is then taken for
/// an object only if it is a file: the body has the bytes of the file the path names, or, for a path that ends in "/",
/// of a file in that directory. So nothing a program computes is kept, whatever its head says. Without a root Apus is a
/// shared cache: it keeps what RFC 9111 lets it (`CachingRules`), while that is fresh.
///
/// Asked are all kinds of request an object answers (`VariantIndex`), the persistent ones twice on one connection; once
/// more as a browser; and once as a browser that comes from another site with a cookie. Answers that differ, but for
/// Date, Age and Expires, are not stored. Those that differ by Accept-Encoding are kept for each value of it
/// (`BackendEncodings`).
struct Backend: Origin {
  enum Settings {
    /// Each wait for the server: connecting, or more bytes of an answer.
    static let timeout_ms = 2000
    /// Names of a directory looked at to find out which one answers for it.
    static let indexNamesMax = 4096
    /// A larger file is not compressed to what can be kept, as a rule.
    static let fileBytesMax = 256 << 10
  }

  let endpoint: BackendEndpoint
  /// Absolute path; `nil`: nothing tells when an answer changes.
  let root: String?
  let rules: CachingRules
  private let quiet = QuietFiles()

  /// - Parameter ttl_s: how long answers are kept that say nothing of it themselves; with a root the longest time
  ///   without asking again.
  init(endpoint: BackendEndpoint, root: String?, ttl_s: Int? = nil) {
    precondition(root?.hasPrefix("/") != false, "the root of a backend must be an absolute path")
    self.endpoint = endpoint
    self.root = root
    rules = CachingRules(ttl_s: ttl_s, isWatched: root != nil)
  }

  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    let asker = BackendAsker(endpoint: endpoint, rules: rules, request: request)
    return try explaining {
      guard let root else { return try asker.learn(nil) }
      return try composeFile(request, below: root, asker, watch)
    }
  }

  func renew(
    _ request: ObjectRequest, stored: ComposedObject, watch: (NameDependency) throws -> Void
  ) throws -> ComposedObject {
    // A file is read anyway, and its names are looked up anew.
    guard root == nil else { return try compose(request, watch: watch) }
    let asker = BackendAsker(endpoint: endpoint, rules: rules, request: request)
    return try explaining { try asker.validate(stored) ?? asker.learn(nil) }
  }

  private func composeFile(
    _ request: ObjectRequest, below root: String, _ asker: BackendAsker, _ watch: (NameDependency) throws -> Void
  ) throws -> ComposedObject {
    guard let path = WatchedPath(request.key.path) else { throw OriginRefusal.notStorable("not a plain path") }
    let (file, status) = try findFile(path, below: root, asker, watch)
    guard status.isRegularFile else { throw OriginRefusal.notStorable("not a file") }
    if status.size > Settings.fileBytesMax { throw OriginRefusal.notStorable("too large") }
    var asker = asker
    if !path.endsInSlash {
      // Servers answer with what was compressed beforehand, too (nginx's `gzip_static`, Apache's MultiViews).
      for coding in ContentCoding.allCases where coding != .identity {
        let sideCar = path.appending(suffix: coding.suffix)
        guard case .found(_, let status) = try sideCar.resolve(below: root, watch: watch) else { continue }
        asker.sideCarDates.insert(
          String(decoding: HTTPDate.bytes(max(0, status.modified_ns / 1_000_000_000)), as: UTF8.self))
      }
    }
    let object = try asker.learn(try Self.read(file, status, quiet))
    guard try FileMetadata.ofLinkIfAny(at: file) == status else {
      throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
    }
    return object
  }

  /// Says what went wrong with a connection as a refusal.
  private func explaining(_ body: () throws -> ComposedObject) throws -> ComposedObject {
    do {
      return try body()
    } catch let failure as BackendConnection.Failure {
      switch failure {
      case .answerTooLarge: throw OriginRefusal.notStorable("too large")
      case .malformed(let reason): throw OriginRefusal.notStorable(reason)
      case .closed: throw OriginRefusal.failed("\(endpoint) closed the connection without an answer")
      case .system(let call, let error):
        throw OriginRefusal.failed("\(endpoint): \(call): \(String(cString: strerror(error)))")
      }
    }
  }

  /// The file that answers for the path.
  private func findFile(
    _ path: WatchedPath, below root: String, _ asker: BackendAsker, _ watch: (NameDependency) throws -> Void
  ) throws -> (path: String, status: FileMetadata) {
    guard case .found(let found, let status) = try path.resolve(below: root, watch: watch) else {
      throw OriginRefusal.notStorable("no such file below the root")
    }
    guard path.endsInSlash else { return (found, status) }
    // Which name answers for a directory is the server's affair; a new one may take precedence at any time.
    try watch(NameDependency(directory: found, name: nil))
    let answer = try asker.probe()
    for name in try Self.names(in: found) {
      guard case .found(let file, let status) = try path.appending(name).resolve(below: root, watch: watch),
        status.isRegularFile, status.size == answer.body.count
      else { continue }
      if (try? Self.read(file, status, nil)) == answer.body { return (file, status) }
    }
    throw OriginRefusal.notStorable("not a file of the directory")
  }

  private static func names(in directory: String) throws -> [String] {
    guard let stream = opendir(directory) else {
      throw WatchedPath.WalkError.system(call: "opendir", path: directory, errno: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
      }
      guard let name, !name.hasPrefix(".") else { continue }
      if names.count == Settings.indexNamesMax { throw OriginRefusal.notStorable("a directory of too many names") }
      names.append(name)
    }
    // Index files first, to spare most of the look-ups.
    return names.sorted { ($0.hasPrefix("index.") ? 0 : 1, $0) < ($1.hasPrefix("index.") ? 0 : 1, $1) }
  }

  /// The content of the file that had this status when it was found, and is quiet if that is asked for.
  private static func read(_ file: String, _ status: FileMetadata, _ quiet: QuietFiles?) throws -> [UInt8] {
    let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw OriginRefusal.notStorable("cannot be opened") }
    defer { close(descriptor) }
    guard try FileMetadata.of(descriptor: descriptor) == status else {
      throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms)
    }
    var content = [UInt8](repeating: 0, count: Int(status.size))
    var length = 0
    while length < content.count {
      let count = content.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + length, $0.count - length) }
      if count <= 0 { throw OriginRefusal.notQuiet(retryAfter_ms: ServerLimits.quiet_ms) }
      length += count
    }
    try quiet?.require(status, of: descriptor)
    return content
  }
}
