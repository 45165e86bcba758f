/// Which objects and fills depend on which names: a plain table of numbers, looked up by directory, then by name.
struct DependencyTable {
  /// The number of a fill, and of the object it became.
  typealias Dependent = UInt64

  private struct Directory {
    var names: [String: Set<Dependent>] = [:]
    /// Those that depend on every name.
    var all: Set<Dependent> = []
    var isEmpty: Bool { names.isEmpty && all.isEmpty }
  }

  private var directories: [String: Directory] = [:]
  private var dependencies: [Dependent: [NameDependency]] = [:]
  /// Directories nothing has depended on at some time since the last `takeUnused`.
  private var unused: Set<String> = []

  mutating func add(_ dependent: Dependent, on dependency: NameDependency) {
    let isNew =
      if let name = dependency.name {
        directories[dependency.directory, default: Directory()].names[name, default: []].insert(dependent).inserted
      } else {
        directories[dependency.directory, default: Directory()].all.insert(dependent).inserted
      }
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
    if let name = dependency.name {
      if var dependents = directory.names.removeValue(forKey: name) {
        dependents.remove(dependent)
        if !dependents.isEmpty { directory.names[name] = dependents }
      }
    } else {
      directory.all.remove(dependent)
    }
    if directory.isEmpty {
      unused.insert(dependency.directory)
    } else {
      directories[dependency.directory] = directory
    }
  }

  /// Those that depend on the name, or on every name of the directory.
  func dependents(directory: String, name: String) -> Set<Dependent> {
    guard let directory = directories[directory] else { return [] }
    guard let named = directory.names[name] else { return directory.all }
    return directory.all.isEmpty ? named : named.union(directory.all)
  }

  /// Those that depend on any name of the directory.
  func dependents(directory: String) -> Set<Dependent> {
    guard let directory = directories[directory] else { return [] }
    return directory.names.values.reduce(directory.all) { $0.union($1) }
  }

  func isUsed(directory: String) -> Bool { directories[directory] != nil }

  /// Directories that may no longer be needed; each is told once.
  mutating func takeUnused() -> Set<String> {
    defer { unused = [] }
    return unused
  }
}
