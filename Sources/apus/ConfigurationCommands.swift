import ApusServer
import ArgumentParser
import FoundationEssentials

/// `--config`.
struct ConfigurationOptions: ParsableArguments {
  @Option(
    name: .customLong("config"),
    help: ArgumentHelp(
      "Read settings from this file in YAML; environment variables and flags stand over it.",
      discussion: "Documentation/Configuration.md has them all.", valueName: "file"), completion: .file())
  var path: String?

  func validate() throws {
    if path?.isEmpty == true { throw ValidationError("--config needs a file") }
  }

  var source: ConfigurationSource { ConfigurationSource(path: path) }
}

/// Where settings come from that are not flags.
struct ConfigurationSource: Sendable {
  let path: String?
  var environment = ProcessInfo.processInfo.environment

  func load() throws -> ServeSettings {
    try ConfigurationLoader(path: path, environment: environment).load()
  }

  /// The options the settings come to. Throws `ConfigurationFailure` where they contradict each other.
  func checked(_ settings: ServeSettings) throws -> ServeOptions {
    do {
      try settings.validate()
    } catch let error as ValidationError {
      throw ConfigurationFailure(path ?? "settings", error.message)
    }
    return settings.options
  }
}

/// `apus check`.
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Look at a configuration without serving by it.",
    discussion: """
      Names the file and line of what is wrong. Document roots and certificates are looked at as well; addresses and \
      interfaces are not.
      """)

  @OptionGroup var file: ConfigurationOptions

  func run() throws {
    let source = file.source
    let options = try source.checked(try source.load())
    do {
      try options.check()
    } catch {
      throw ConfigurationFailure(source.path ?? "settings", "\(error)")
    }
    print("apus: \(source.path ?? "the environment") is a good configuration")
  }
}

/// `apus reload`.
struct ReloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reload",
    abstract: "Make a running server take its configuration as it is now.",
    discussion: """
      Connections stay open. Where something is wrong with the configuration the old one holds on, and the exit code \
      is 1. SIGHUP does the same.
      """)

  @OptionGroup var admin: AdminOptions

  func run() throws {
    try admin.client().reload()
    print("apus: reloaded")
  }
}
