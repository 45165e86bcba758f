import ArgumentParser
import Glibc
import Yams

/// Why a configuration cannot be used. The description begins with the file and line, or the environment variable.
struct ConfigurationFailure: Error, Equatable, CustomStringConvertible {
  let description: String

  init(_ place: String, _ reason: String) { description = "\(place): \(reason)" }
}

/// A configuration file in YAML, read and not yet understood: the tree of its nodes, which know their lines.
struct ConfigurationFile {
  let path: String
  let root: Node.Mapping

  /// A larger file is a mistake.
  private static let bytesMax = 1 << 20

  init(path: String) throws(ConfigurationFailure) {
    self.path = path
    root = try Self.mapping(Self.read(path), path)
  }

  /// - Parameter text: what the file says.
  init(path: String, text: String) throws(ConfigurationFailure) {
    self.path = path
    root = try Self.mapping(text, path)
  }

  private static func read(_ path: String) throws(ConfigurationFailure) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ConfigurationFailure(path, String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      guard count >= 0 else { throw ConfigurationFailure(path, String(cString: strerror(errno))) }
      if count == 0 { break }
      bytes += chunk[..<count]
      guard bytes.count <= bytesMax else { throw ConfigurationFailure(path, "has more than \(bytesMax) bytes") }
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ConfigurationFailure(path, "is not UTF-8")
    }
    return text
  }

  private static func mapping(_ text: String, _ path: String) throws(ConfigurationFailure) -> Node.Mapping {
    let node: Node?
    do {
      node = try compose(yaml: text)
    } catch {
      throw failure(error, path)
    }
    // An empty file, or one of comments.
    guard let node, node.null == nil else { return Node.Mapping([]) }
    guard case .mapping(let mapping) = node else {
      throw ConfigurationFailure("\(path):\(node.mark?.line ?? 1)", "settings are written 'key: value'")
    }
    return mapping
  }

  private static func failure(_ error: any Error, _ path: String) -> ConfigurationFailure {
    guard let error = error as? YamlError else { return ConfigurationFailure(path, "\(error)") }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return ConfigurationFailure("\(path):\(mark.line)", problem)
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.sorted().joined(separator: ", ")
      return ConfigurationFailure("\(path):\(context.mark.line)", "given twice: \(keys)")
    default:
      return ConfigurationFailure(path, "\(error)")
    }
  }

  // MARK: Reading nodes

  func failure(at node: Node, _ reason: String) -> ConfigurationFailure {
    ConfigurationFailure(node.mark.map { "\(path):\($0.line)" } ?? path, reason)
  }

  /// What the node says is wrong with it, with its line.
  func naming<Result>(_ node: Node, _ body: () throws -> Result) throws(ConfigurationFailure) -> Result {
    do {
      return try body()
    } catch let failure as ConfigurationFailure {
      throw failure
    } catch let error as ValidationError {
      throw failure(at: node, error.message)
    } catch {
      throw failure(at: node, "\(error)")
    }
  }

  /// The pairs of a mapping. Throws where a key is none of those there may be.
  func pairs(
    of node: Node, in mapping: Node.Mapping, keys: [String]
  ) throws(ConfigurationFailure) -> [(name: String, key: Node, value: Node)] {
    var pairs: [(name: String, key: Node, value: Node)] = []
    for (key, value) in mapping {
      guard let name = key.string else { throw failure(at: key, "a key is a word") }
      guard keys.contains(name) else {
        let nearest = keys.min { $0.distance(to: name) < $1.distance(to: name) }
        let hint = nearest.flatMap { $0.distance(to: name) <= 2 ? "; is it '\($0)'?" : nil } ?? ""
        throw failure(at: key, "there is no setting '\(name)' here\(hint)")
      }
      pairs.append((name, key, value))
    }
    return pairs
  }

  /// The same of a node that must be a mapping.
  func pairs(
    of node: Node, keys: [String]
  ) throws(ConfigurationFailure) -> [(name: String, key: Node, value: Node)] {
    guard case .mapping(let mapping) = node else { throw failure(at: node, "here 'key: value' lines are needed") }
    return try pairs(of: node, in: mapping, keys: keys)
  }

  /// A value as it is written.
  func text(_ node: Node) throws(ConfigurationFailure) -> String {
    guard case .scalar(let scalar) = node, node.null == nil else { throw failure(at: node, "here one value is needed") }
    return scalar.string
  }

  /// A list, or a value in place of a list of one.
  func list(_ node: Node) throws(ConfigurationFailure) -> [Node] {
    switch node {
    case .sequence(let sequence): return Array(sequence)
    case .scalar where node.null != nil: return []
    case .scalar, .mapping: return [node]
    case .alias: throw failure(at: node, "here one value is needed")
    }
  }

  func flag(_ node: Node) throws(ConfigurationFailure) -> Bool {
    guard let value = node.bool else { throw failure(at: node, "write true or false") }
    return value
  }
}

extension String {
  /// How many letters must be put in, taken out or changed to make one of the other (Levenshtein).
  fileprivate func distance(to other: String) -> Int {
    let other = Array(other)
    var row = Array(0...other.count)
    for (index, character) in self.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in other.indices {
        let cost = diagonal + (character == other[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = Swift.min(cost, row[column + 1] + 1, row[column] + 1)
      }
    }
    return row[other.count]
  }
}
