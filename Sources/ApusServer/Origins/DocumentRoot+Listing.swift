import CLinux
import Glibc

extension DocumentRoot {
  /// What is in a directory that has no index: regular files and directories that requests could reach.
  ///
  /// Names that are hidden from requests are not shown, nor what a symbolic link leads to that is not served.
  func list(_ path: DocumentRootPath) throws(DocumentRootRefusal) -> DirectoryListing {
    let directory = try find(path.names, flags: O_RDONLY | O_DIRECTORY)
    // fdopendir(3) owns its descriptor, and closedir(3) closes it.
    let own = dup(directory.number)
    guard own >= 0 else { throw BeneathOpen.refusal(errno) }
    guard let stream = fdopendir(own) else {
      close(own)
      throw BeneathOpen.refusal(errno)
    }
    defer { closedir(stream) }
    var entries: [DirectoryListing.Entry] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard name.first != UInt8(ascii: "."), let metadata = look(at: name, in: directory, path.names) else { continue }
      guard entries.count < ServerLimits.listingEntriesMax else {
        return DirectoryListing(path: path.decoded, entries: entries, isCut: true)
      }
      entries.append(
        DirectoryListing.Entry(
          name: name, isDirectory: metadata.isDirectory, size: metadata.size, modified_s: metadata.lastModified_s))
    }
    return DirectoryListing(path: path.decoded, entries: entries)
  }

  /// `nil` where there is nothing to show.
  private func look(at name: [UInt8], in directory: Descriptor, _ names: [[UInt8]]) -> FileMetadata? {
    var status = stat()
    guard fstatat(directory.number, name.map(CChar.init(bitPattern:)) + [0], &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      return nil
    }
    var metadata = FileMetadata(status)
    if metadata.isSymbolicLink {
      guard let target = try? find(names + [name], flags: O_PATH).metadata() else { return nil }
      metadata = target
    }
    return metadata.isRegularFile || metadata.isDirectory ? metadata : nil
  }

  /// Opens what names lead to, as `place(of:)` finds files: by the kernel if it can, else by a walk.
  private func find(_ names: [[UInt8]], flags: CInt) throws(DocumentRootRefusal) -> Descriptor {
    let here = [[UInt8(ascii: ".")]]
    let root = try currentRoot()
    switch BeneathOpen.open(names.isEmpty ? here : names, beneath: root, flags: flags, links: .followedBeneath) {
    case .opened(let descriptor): return descriptor
    case .refused(let refusal): throw refusal
    case .escapes: break
    }
    var walk = PathWalk(watch: nil)
    do {
      try walk.follow(rootNames)
      let rootReal = walk.real
      try walk.follow(names)
      guard walk.real.starts(with: rootReal) || rules.linksLeadOut else { throw DocumentRootRefusal.forbidden }
    } catch {
      throw error as? DocumentRootRefusal ?? .failed(errno: EIO)
    }
    let top = try Self.openDirectory([UInt8(ascii: "/")])
    switch BeneathOpen.open(walk.real.isEmpty ? here : walk.real, beneath: top, flags: flags, links: .none) {
    case .opened(let descriptor): return descriptor
    case .refused(let refusal): throw refusal
    // A name has become a link meanwhile.
    case .escapes: throw .notFound
    }
  }
}
