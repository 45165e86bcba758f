import Foundation
import PackagePlugin

/// Embeds an eBPF object in the target that uses this plugin.
///
/// The object is made from the target's dependencies within the package: each becomes an Embedded Swift module,
/// in dependency order, and the last one is the program. So a target for the kernel is an ordinary target, and
/// `import Wire` reads the same in both worlds.
@main
struct CompileKernel: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
    let modules = Self.modules(of: target).compactMap { $0 as? SwiftSourceModuleTarget }
    guard let program = modules.last else {
      Diagnostics.error("\(target.name): a target that embeds an eBPF object depends on the target to compile")
      return []
    }
    let directories = modules.map(\.directoryURL)
    let output = context.pluginWorkDirectoryURL.appending(path: "\(program.name)+Object.swift")
    let arguments = [
      "--swiftc", try context.tool(named: "swiftc").url.path(),
      "--clang", try context.tool(named: "clang").url.path(),
      "--objcopy", try context.tool(named: "llvm-objcopy").url.path(),
      "--package", context.package.directoryURL.path(),
      "--scratch", context.pluginWorkDirectoryURL.appending(path: "scratch").path(),
      "--output", output.path(),
    ]
    return [
      .buildCommand(
        displayName: "Compiling \(program.name) for the kernel",
        executable: try context.tool(named: "BPFBuild").url,
        arguments: arguments + directories.map { $0.path() },
        // The folders themselves are inputs too, so that a file that is added is seen.
        inputFiles: directories.flatMap { [$0] + Self.files(below: $0) },
        outputFiles: [output])
    ]
  }

  /// The target's dependencies within the package, each before those that depend on it.
  static func modules(of target: Target) -> [Target] {
    var seen: Set<String> = []
    var ordered: [Target] = []
    func visit(_ target: Target) {
      for case .target(let dependency) in target.dependencies where seen.insert(dependency.name).inserted {
        visit(dependency)
        ordered.append(dependency)
      }
    }
    visit(target)
    return ordered
  }

  static func files(below directory: URL) -> [URL] {
    let paths = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: nil)
    return (paths?.compactMap { $0 as? URL } ?? []).sorted { $0.path() < $1.path() }
  }
}
