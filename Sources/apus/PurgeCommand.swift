import ApusServer
import ArgumentParser

/// `apus purge`.
struct PurgeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge",
    abstract: "Forget objects: the next request for one is answered in user mode and composes it anew.")

  @Argument(help: ArgumentHelp("Path of the object, as in the request: /style.css", valueName: "path"))
  var paths: [String] = []

  @Flag(help: "Forget everything.")
  var all = false

  @Flag(help: "Forget every object whose path begins so.")
  var prefix = false

  @OptionGroup var admin: AdminOptions

  func validate() throws {
    if all, !paths.isEmpty || prefix { throw ValidationError("--all takes no path and no --prefix") }
    if !all, paths.isEmpty { throw ValidationError("name a path, or --all") }
    for path in paths where !path.hasPrefix("/") {
      throw ValidationError("'\(path)' does not begin with a slash; a path is written as in the request: /\(path)")
    }
  }

  var requests: [Purge] {
    if all { return [.all] }
    return paths.map { prefix ? .prefix($0) : .path($0) }
  }

  func run() throws {
    let client = try admin.client()
    let count = try requests.reduce(0) { try $0 + client.purge($1) }
    print("apus: \(count) \(count == 1 ? "object" : "objects") purged")
  }
}
