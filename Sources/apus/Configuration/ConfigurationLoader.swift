import ApusServer
import ArgumentParser
import Configuration
import Yams

/// Puts the settings together: what the environment says stands over the file, and both over the defaults. Flags are
/// set over the result by whoever has them.
struct ConfigurationLoader {
  let file: ConfigurationFile?
  let environment: [String: String]

  /// - Parameter path: of the file; `nil`: there is none.
  init(path: String?, environment: [String: String]) throws(ConfigurationFailure) {
    if let path { file = try ConfigurationFile(path: path) } else { file = nil }
    self.environment = environment
  }

  init(file: ConfigurationFile?, environment: [String: String] = [:]) {
    self.file = file
    self.environment = environment
  }

  func load() throws(ConfigurationFailure) -> ServeSettings {
    var settings = ServeSettings()
    let written = try file.map { file throws(ConfigurationFailure) in try Written(file, &settings) }
    let reader = ConfigReader(providers: [
      EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: ["apus"]),
      InMemoryProvider(name: file?.path, values: written?.values ?? [:]),
    ])
    for setting in Setting.all {
      guard let values = Self.values(of: setting, reader) else { continue }
      do {
        if environment[setting.environmentVariable] == nil, let file, setting.isPath {
          // Standard output has no place beside the file.
          try setting.set(values.map { $0 == "-" ? $0 : file.resolved($0) }, &settings)
        } else {
          try setting.set(values, &settings)
        }
      } catch {
        throw failure(setting, written?.nodes[setting.key], error)
      }
    }
    return settings
  }

  private static func values(of setting: Setting, _ reader: ConfigReader) -> [String]? {
    let key = ConfigKey(setting.levels)
    return setting.isList ? reader.stringArray(forKey: key) : reader.string(forKey: key).map { [$0] }
  }

  private func failure(_ setting: Setting, _ node: Node?, _ error: any Error) -> ConfigurationFailure {
    let reason = (error as? ValidationError)?.message ?? "\(error)"
    if environment[setting.environmentVariable] != nil {
      return ConfigurationFailure(setting.environmentVariable, reason)
    }
    guard let file, let node else { return ConfigurationFailure(setting.key, reason) }
    return file.failure(at: node, "\(setting.key): \(reason)")
  }

  /// What the file says: structures are set, values kept for the reader.
  private struct Written {
    var values: [AbsoluteConfigKey: ConfigValue] = [:]
    /// Where each setting stands.
    var nodes: [String: Node] = [:]

    init(_ file: ConfigurationFile, _ settings: inout ServeSettings) throws(ConfigurationFailure) {
      try take(file.root, of: .mapping(file.root), under: [], file, &settings)
    }

    private mutating func take(
      _ mapping: Node.Mapping, of node: Node, under levels: [String], _ file: ConfigurationFile,
      _ settings: inout ServeSettings
    ) throws(ConfigurationFailure) {
      let known = Setting.all.map(\.levels) + ConfigurationFile.structures.map { Setting.levels(of: $0.key) }
      let below = known.filter { $0.starts(with: levels) && $0.count > levels.count }.map { $0[levels.count] }
      for (name, _, value) in try file.pairs(of: node, in: mapping, keys: below) {
        let path = levels + [name]
        let key = path.joined(separator: ".")
        switch key {
        case "site": settings.site = try file.site(value)
        case "hosts": settings.hosts = try file.hosts(value)
        case "tls.certificates": settings.certificates = try file.certificates(value)
        default:
          if let setting = Setting.all.first(where: { $0.key == key }) {
            nodes[key] = value
            try take(value, for: setting, file)
          } else if case .mapping(let inner) = value {
            try take(inner, of: value, under: path, file, &settings)
          } else if value.null == nil {
            throw file.failure(at: value, "here 'key: value' lines are needed")
          }
        }
      }
    }

    private mutating func take(
      _ node: Node, for setting: Setting, _ file: ConfigurationFile
    ) throws(ConfigurationFailure) {
      let key = AbsoluteConfigKey(setting.levels)
      guard setting.isList else {
        values[key] = ConfigValue(.string(try file.text(node)), isSecret: false)
        return
      }
      var items: [String] = []
      for item in try file.list(node) { items.append(try file.text(item)) }
      values[key] = ConfigValue(.stringArray(items), isSecret: false)
    }
  }
}
