/// Which paths may be answered in the kernel: as kHTTPd had it, by prefix or by extension. The others are not stored,
/// so that they are always handed over.
public struct PathSelection: Sendable, Equatable {
  /// A prefix of paths, or an extension of names.
  public enum Pattern: Sendable, Hashable, CustomStringConvertible {
    /// `/private/`
    case prefix(String)
    /// `.css`
    case suffix(String)

    /// `nil` unless the text begins with a slash, or is a dot and more, with or without a star before it.
    public init?(_ text: String) {
      if text.hasPrefix("/") {
        self = .prefix(text)
        return
      }
      let suffix = text.hasPrefix("*") ? text.dropFirst() : text[...]
      guard suffix.hasPrefix("."), suffix.count > 1, !suffix.contains("/"), !suffix.contains("*") else { return nil }
      self = .suffix(String(suffix))
    }

    public var description: String {
      switch self {
      case .prefix(let prefix): prefix
      case .suffix(let suffix): suffix
      }
    }

    func matches(_ path: [UInt8]) -> Bool {
      switch self {
      case .prefix(let prefix): path.starts(with: prefix.utf8)
      case .suffix(let suffix): path.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
      }
    }
  }

  /// Not empty: only paths one of these matches.
  public var only: [Pattern]
  /// No path one of these matches, whatever `only` says.
  public var never: [Pattern]

  public init(only: [Pattern] = [], never: [Pattern] = []) {
    self.only = only
    self.never = never
  }

  func admits(_ path: [UInt8]) -> Bool {
    !never.contains { $0.matches(path) } && (only.isEmpty || only.contains { $0.matches(path) })
  }
}

/// An origin of which only some objects are to be stored.
struct SelectedOrigin: Origin {
  let origin: any Origin
  let selection: PathSelection
  /// Whether what is no file is another server's to answer: 404 and 301 are not for the kernel to say then.
  var filesOnly = false

  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    guard selection.admits(request.key.path) else { throw OriginRefusal.notStorable("not for the kernel") }
    let object = try origin.compose(request, watch: watch)
    if filesOnly, case .ignored? = object.representation(.identity)?.conditions {
      throw OriginRefusal.notStorable("not a file")
    }
    return object
  }

  func renew(
    _ request: ObjectRequest, stored: ComposedObject, watch: (NameDependency) throws -> Void
  ) throws -> ComposedObject {
    try origin.renew(request, stored: stored, watch: watch)
  }
}
