/// Which objects and fills depend on which names: a plain table of numbers, looked up by directory, then by name; and
/// what each of these names was when it was last looked at.
struct DependencyTable {
  /// The number of a fill, and of the object it became.
  typealias Dependent = UInt64

  private struct Directory {
    /// By name; under `nil` those that depend on every name.
    var names: [String?: Set<Dependent>] = [:]
  }

  private var directories: [String: Directory] = [:]
  private var dependencies: [Dependent: [NameDependency]] = [:]
  /// Directories nothing has depended on at some time since the last `takeUnused`.
  private var unused: Set<String> = []
  private(set) var watched = SweepList()
  private(set) var revalidated = SweepList()

  mutating func add(_ dependent: Dependent, on dependency: NameDependency) {
    let isNew = directories[dependency.directory, default: Directory()].names[dependency.name, default: []]
      .insert(dependent).inserted
    if isNew { dependencies[dependent, default: []].append(dependency) }
  }

  mutating func remove(_ dependent: Dependent) {
    for dependency in dependencies.removeValue(forKey: dependent) ?? [] {
      remove(dependent, from: dependency)
    }
  }

  private mutating func remove(_ dependent: Dependent, from dependency: NameDependency) {
    // Taken out of the table while it is changed, so that no set is copied.
    guard var directory = directories.removeValue(forKey: dependency.directory) else { return }
    if var dependents = directory.names.removeValue(forKey: dependency.name) {
      dependents.remove(dependent)
      if dependents.isEmpty {
        watched.remove(dependency)
        revalidated.remove(dependency)
      } else {
        directory.names[dependency.name] = dependents
      }
    }
    if directory.names.isEmpty {
      unused.insert(dependency.directory)
    } else {
      directories[dependency.directory] = directory
    }
  }

  /// Those that depend on the name, or on every name of the directory.
  func dependents(directory: String, name: String) -> Set<Dependent> {
    guard let directory = directories[directory] else { return [] }
    let all = directory.names[nil] ?? []
    guard let named = directory.names[name] else { return all }
    return all.isEmpty ? named : named.union(all)
  }

  /// Those that depend on any name of the directory.
  func dependents(directory: String) -> Set<Dependent> {
    guard let directory = directories[directory] else { return [] }
    return directory.names.values.reduce([]) { $0.union($1) }
  }

  func isUsed(directory: String) -> Bool { directories[directory] != nil }

  /// Directories that may no longer be needed; each is told once.
  mutating func takeUnused() -> Set<String> {
    defer { unused = [] }
    return unused
  }

  // MARK: Sightings

  /// Notes what a name is now; nothing if nobody depends on it.
  ///
  /// - Returns: whether it was the same when it was looked at before, if it was.
  mutating func see(_ dependency: NameDependency, _ sighting: NameSighting, _ coverage: NameCoverage) -> Bool {
    guard directories[dependency.directory]?.names[dependency.name] != nil else { return true }
    let before = watched[dependency] ?? revalidated[dependency]
    switch coverage {
    case .watched:
      revalidated.remove(dependency)
      watched.insert(dependency, sighting)
    case .revalidated:
      watched.remove(dependency)
      revalidated.insert(dependency, sighting)
    }
    return before == nil || before == sighting
  }

  func names(_ coverage: NameCoverage) -> SweepList {
    switch coverage {
    case .watched: watched
    case .revalidated: revalidated
    }
  }
}
