import Foundation

/// The route from Swift to eBPF: no Swift compiler has a BPF target, but BPF and 64-bit RISC-V lay out data
/// alike. So swiftc emits LLVM IR for bare-metal RISC-V and clang, of the same toolchain, compiles that for BPF.
struct Toolchain {
  let swiftc: String
  let clang: String
  let objcopy: String
  let package: String
  let scratch: URL

  struct Failure: Error {
    var status: Int32
  }

  /// Compiles the modules and returns the bytes of the object. Diagnostics go to standard error.
  func object(of folders: [URL]) throws -> Data {
    try? FileManager.default.removeItem(at: scratch)
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    for folder in folders.dropLast() {
      let name = folder.lastPathComponent
      let module = path("\(name).swiftmodule")
      try run(swiftc, swiftArguments(of: folder) + ["-emit-module", "-o", module])
    }
    guard let program = folders.last else { return Data() }
    try run(swiftc, swiftArguments(of: program) + ["-emit-ir", "-o", path("program.ll")])
    // The passes run later, for BPF; here the text only becomes bitcode with BPF's triple.
    try run(
      clang,
      [
        "-target", "bpfel", "-Wno-override-module", "-Xclang", "-disable-llvm-passes",
        "-c", "-emit-llvm", "-x", "ir", path("program.ll"), "-o", path("program.bc"),
      ])
    // Linking the bitcode into an empty module as "builtin" keeps only what @used functions reach, so that the
    // parts of the Swift runtime the compiler always emits (which BPF cannot express) fall away.
    try run(
      clang,
      [
        "-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-Wno-linker-warnings", "-Xclang", "-fno-split-cold-code",
        "-x", "c", "-c", "/dev/null", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", path("program.bc"),
        "-o", path("program.o"),
      ])
    // DWARF goes, .BTF and .BTF.ext stay: the loader takes the line information from them.
    try run(objcopy, ["--strip-debug", path("program.o")])
    return try Data(contentsOf: URL(filePath: path("program.o")))
  }

  private func swiftArguments(of folder: URL) -> [String] {
    [
      "-target", "riscv64-none-none-eabi", "-swift-version", "6",
      "-enable-experimental-feature", "Embedded", "-enable-experimental-feature", "Extern",
      "-wmo", "-parse-as-library", "-O", "-g", "-warnings-as-errors",
      // BPF has no stack protector; outlined cold code would leave a function that ends in a call.
      "-Xfrontend", "-disable-stack-protector", "-Xfrontend", "-disable-split-cold-code",
      // The object must not depend on where the package stands.
      "-file-compilation-dir", ".", "-file-prefix-map", "\(package.hasSuffix("/") ? package : package + "/")=",
      "-module-cache-path", path("module-cache"), "-I", scratch.path(),
      "-module-name", folder.lastPathComponent,
    ] + sources(of: folder)
  }

  /// The Swift files of a module, without those in a folder named Host.
  private func sources(of folder: URL) -> [String] {
    let paths = FileManager.default.enumerator(atPath: folder.path())?.compactMap { $0 as? String } ?? []
    return paths.filter { $0.hasSuffix(".swift") && !$0.split(separator: "/").contains("Host") }
      .sorted().map { folder.appending(path: $0).path() }
  }

  private func path(_ name: String) -> String {
    scratch.appending(path: name).path()
  }

  private func run(_ tool: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: tool)
    process.arguments = arguments
    process.standardOutput = FileHandle.standardError
    process.currentDirectoryURL = URL(filePath: package)
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(status: process.terminationStatus) }
  }
}
