import Glibc

/// What a name was when it was last looked at: as long as the next look finds the same, nothing that depends on the
/// name has changed.
enum NameSighting: Equatable, Sendable {
  /// Nothing about it matters but what is here: for a directory whose names have events of their own, its times and
  /// size are left out.
  case file(FileMetadata)
  /// There is no such name (ENOENT), or it cannot be looked at.
  case failure(errno: Int32)

  /// - Parameter coverage: of a directory, where only looks tell, the times count too: other machines' renames of it
  ///   show in nothing else as long as this one remembers its name.
  static func look(at dependency: NameDependency, _ coverage: NameCoverage) -> NameSighting {
    let result =
      if let name = dependency.name {
        FileMetadata.look(at: dependency.directory == "/" ? "/" + name : dependency.directory + "/" + name)
      } else {
        FileMetadata.look(at: dependency.directory)
      }
    switch result {
    case .failure(let error): return .failure(errno: error.code)
    case .success(var metadata):
      if metadata.isDirectory, coverage == .watched {
        metadata.size = 0
        metadata.modified_ns = 0
        metadata.changed_ns = 0
        metadata.links = 0
      }
      return .file(metadata)
    }
  }

  /// A file that can be written to under another name, of which no event comes for this one.
  var hasOtherNames: Bool {
    if case .file(let metadata) = self { metadata.isRegularFile && metadata.links > 1 } else { false }
  }
}

/// How changes of a name are noticed.
enum NameCoverage: Sendable, CaseIterable {
  /// inotify(7) tells; looking at it again finds what inotify leaves out: writes through a mapping, hard links made
  /// later, mounts.
  case watched
  /// Only looking at it again tells, so that must happen in time.
  case revalidated
}

/// The names to be looked at again, in an array a sweep can walk through piece by piece while names come and go.
///
/// A sweep goes from the end to the start. A new name is put at the end, a removed one is replaced by the last: so what
/// moves is already seen, and every name that was there at the start of a sweep, and is at its end, is seen by it.
struct SweepList {
  struct Entry {
    let dependency: NameDependency
    var sighting: NameSighting
  }

  private var entries: [Entry] = []
  private var positions: [NameDependency: Int] = [:]

  var count: Int { entries.count }

  subscript(dependency: NameDependency) -> NameSighting? {
    positions[dependency].map { entries[$0].sighting }
  }

  mutating func insert(_ dependency: NameDependency, _ sighting: NameSighting) {
    if let position = positions[dependency] {
      entries[position].sighting = sighting
    } else {
      positions[dependency] = entries.count
      entries.append(Entry(dependency: dependency, sighting: sighting))
    }
  }

  mutating func remove(_ dependency: NameDependency) {
    guard let position = positions.removeValue(forKey: dependency) else { return }
    let last = entries.removeLast()
    if position < entries.count {
      entries[position] = last
      positions[last.dependency] = position
    }
  }

  /// The next names of a sweep.
  ///
  /// - Parameter end: where the last piece began; `Int.max` for the first.
  func piece(before end: Int, count: Int) -> (entries: [Entry], start: Int) {
    let end = min(end, entries.count)
    let start = max(0, end - count)
    // Not a slice: it would share the array, and the next change of it would copy all of it.
    return (Array(entries[start..<end]), start)
  }

  var dependencies: [NameDependency] { entries.map(\.dependency) }
}
