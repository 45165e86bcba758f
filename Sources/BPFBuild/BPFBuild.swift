import ArgumentParser
import Foundation

/// Compiles folders of Embedded Swift into one eBPF object and writes it as a Swift source file.
@main
struct BPFBuild: ParsableCommand {
  @Option(help: "The Swift compiler.") var swiftc: String
  @Option(help: "The toolchain's clang.") var clang: String
  @Option(help: "The toolchain's llvm-objcopy.") var objcopy: String
  @Option(help: "The package's folder; paths in the object are relative to it.") var package: String
  @Option(help: "Folder for intermediate files.") var scratch: String
  @Option(help: "The Swift file to write.") var output: String
  @Argument(help: "Folders of modules, each before those that import it; the last one is the program.")
  var modules: [String]

  func run() throws {
    let folders = modules.map { URL(filePath: $0, directoryHint: .isDirectory) }
    let toolchain = Toolchain(
      swiftc: swiftc, clang: clang, objcopy: objcopy, package: package,
      scratch: URL(filePath: scratch, directoryHint: .isDirectory))
    do {
      let object = try toolchain.object(of: folders)
      let source = EmbeddedObject(name: folders.last?.lastPathComponent ?? "", bytes: object).source
      try Data(source.utf8).write(to: URL(filePath: output), options: .atomic)
    } catch let failure as Toolchain.Failure {
      // The compiler has said where and why on standard error, which SwiftPM shows.
      throw ExitCode(failure.status)
    }
  }
}
