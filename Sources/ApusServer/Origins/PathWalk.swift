import Glibc

/// Follows a path name by name, symbolic links by hand, as path_resolution(7) does, and reports every name before it
/// looks it up: a change is then either seen by the look-up or reported to the watcher, never neither. What results is
/// the path without symbolic links.
///
/// The kernel's own lookup cannot report the names it passes, and a change to any of them (a parent renamed, a link
/// turned) changes what the path means. Safety does not rest on this walk: symbolic links are followed wherever they
/// lead, and the file is opened by openat2(2) along the resulting path without following any link.
struct PathWalk {
  /// Names of the real path walked so far, from the root of the file system.
  private(set) var real: [[UInt8]] = []
  private var linksLeft = ServerLimits.symbolicLinksMax
  private let watch: ((NameDependency) throws -> Void)?

  init(watch: ((NameDependency) throws -> Void)?) { self.watch = watch }

  /// Walks on from where the walk stands.
  ///
  /// - Throws: `DocumentRootRefusal`, `OriginRefusal` for a name nobody can watch, and whatever `watch` throws.
  mutating func follow(_ names: [[UInt8]]) throws {
    // The names still to walk, the next one last: a link's target goes on top.
    var pending = Array(names.reversed())
    while let name = pending.popLast() {
      if name.isEmpty || name.elementsEqual(".".utf8) { continue }
      if name.elementsEqual("..".utf8) {
        // No symbolic link is left in what was walked, so its parent is what was walked before.
        _ = real.popLast()
        continue
      }
      let directory = absolutePath
      if let watch {
        // A name repaired on its way into a string would be another name.
        guard let directoryText = String(validating: directory, as: UTF8.self),
          let nameText = String(validating: name, as: UTF8.self)
        else { throw OriginRefusal.notStorable("a name on the way to the file is not UTF-8") }
        try watch(NameDependency(directory: directoryText, name: nameText))
      }
      let separator: [UInt8] = real.isEmpty ? [] : [UInt8(ascii: "/")]
      guard let target = try PathWalk.readLink(directory + separator + name) else {
        real.append(name)
        continue
      }
      // As ELOOP of path_resolution(7).
      guard linksLeft > 0 else { throw DocumentRootRefusal.notFound }
      linksLeft -= 1
      if target.first == UInt8(ascii: "/") { real.removeAll() }
      pending += PathWalk.names(target).reversed()
    }
  }

  /// `/` or the names with slashes between.
  var absolutePath: [UInt8] { [UInt8(ascii: "/")] + real.joined(separator: [UInt8(ascii: "/")]) }

  static func names(_ path: some Sequence<UInt8>) -> [[UInt8]] {
    Array(path).split(separator: UInt8(ascii: "/")).map(Array.init)
  }

  /// readlink(2); `nil` where the path is no symbolic link.
  private static func readLink(_ path: [UInt8]) throws(DocumentRootRefusal) -> [UInt8]? {
    let capacity = Int(PATH_MAX)
    var failure: Int32 = 0
    let target = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      let length = readlink(path.map(CChar.init(bitPattern:)) + [0], buffer.baseAddress!, capacity)
      if length < 0 { failure = errno }
      count = max(0, length)
    }
    if failure == 0 { return target }
    if failure == EINVAL { return nil }
    throw BeneathOpen.refusal(failure)
  }
}
