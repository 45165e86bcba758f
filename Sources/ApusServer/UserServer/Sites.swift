/// The sites of a server: a document root for every host, or some for some.
struct Sites: Sendable {
  /// The first is for every host that has none of its own.
  let roots: [DocumentRoot]
  private let byName: [[UInt8]: Int]
  /// By what follows the asterisk: `.example.org`.
  private let bySuffix: [[UInt8]: Int]

  init(_ root: DocumentRoot) {
    roots = [root]
    byName = [:]
    bySuffix = [:]
  }

  init(_ root: DocumentRoot, hosts: [VirtualHost]) throws {
    var roots = [root]
    var byName: [[UInt8]: Int] = [:]
    var bySuffix: [[UInt8]: Int] = [:]
    for host in hosts {
      guard !host.names.isEmpty else { throw InvalidSetting("site of \(host.directory)", "has no names") }
      for name in host.names {
        let (key, isSuffix) = try Self.key(of: name, directory: host.directory)
        guard byName[key] == nil, bySuffix[key] == nil else {
          throw InvalidSetting("site of \(host.directory)", "'\(name)' is the name of another site, too")
        }
        if isSuffix { bySuffix[key] = roots.count } else { byName[key] = roots.count }
      }
      roots.append(try DocumentRoot(path: host.directory, rules: try SiteRules(host.site)))
    }
    self.roots = roots
    self.byName = byName
    self.bySuffix = bySuffix
  }

  /// By what a host of that name is found, and whether all below it are.
  fileprivate static func key(of name: String, directory: String) throws(InvalidSetting) -> (
    key: [UInt8], isSuffix: Bool
  ) {
    let isSuffix = name.hasPrefix("*.")
    let key = Self.normalized(Array(isSuffix ? name.dropFirst().utf8 : name[...].utf8))
    let bare = isSuffix ? key.dropFirst() : key[...]
    guard !bare.isEmpty, !name.contains(":") || name.hasPrefix("["),
      bare.withContiguousStorageIfAvailable({ HostName.isValid(UnsafeRawBufferPointer($0), ByteClass.shared) }) == true,
      !bare.contains(UInt8(ascii: "*"))
    else { throw InvalidSetting("site of \(directory)", "'\(name)' is no name of a host") }
    return (key, isSuffix)
  }

  /// The place in `roots` of a host's site.
  ///
  /// - Parameter host: the value of Host: a name, perhaps with a port.
  func index(host: UnsafeRawBufferPointer) -> Int {
    guard roots.count > 1 else { return 0 }
    let name = Self.normalized(Array(host))
    if let index = byName[name] { return index }
    var rest = name[...]
    // The longest suffix first.
    while let dot = rest.dropFirst().firstIndex(of: UInt8(ascii: ".")) {
      rest = rest[dot...]
      if let index = bySuffix[Array(rest)] { return index }
    }
    return 0
  }

  /// In lower case, without the port and without the dot of a fully qualified name.
  private static func normalized(_ host: [UInt8]) -> [UInt8] {
    var name = host[...]
    if let colon = name.lastIndex(of: UInt8(ascii: ":")), !name[colon...].contains(UInt8(ascii: "]")) {
      name = name[..<colon]
    }
    if name.last == UInt8(ascii: ".") { name.removeLast() }
    return name.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 }
  }
}

extension VirtualHost {
  /// Throws `InvalidSetting` where a name is none, or a setting has no meaning. The directory is not looked at.
  public func check() throws {
    for name in names { _ = try Sites.key(of: name, directory: directory) }
    try site.check()
  }
}

/// The sites for the kernel half, which tells hosts apart as `Host` has them.
extension Sites: Origin {
  func compose(_ request: ObjectRequest, watch: (NameDependency) throws -> Void) throws -> ComposedObject {
    let index = request.host.withUnsafeBytes { self.index(host: $0) }
    return try roots[index].compose(request, watch: watch)
  }
}
