// swift-tools-version: 6.2
import PackageDescription

// Freestanding targets are compiled twice: for the host by SwiftPM, and for the kernel by the
// CompileKernel plugin (Embedded Swift -> LLVM IR -> eBPF object). A folder named `Kernel` or `Host`
// inside such a target holds the few lines that differ between the two worlds.
func freestanding(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, exclude: hasKernelFolder.contains(name) ? ["Kernel"] : [])
}
let hasKernelFolder: Set<String> = ["Wire", "BPFKernel"]

func example(_ name: String, in folder: String) -> Target {
  .target(name: name, dependencies: ["BPFKernel", "KernelSockets", "Wire"], path: "\(folder)/\(name)")
}
func exampleObject(_ name: String, in folder: String) -> Target {
  .target(
    name: "\(name)Object", dependencies: [.byName(name: name)], path: "\(folder)/\(name)Object",
    plugins: [.plugin(name: "CompileKernel")])
}
func exampleProgram(_ name: String, of server: String, in folder: String) -> Target {
  .executableTarget(
    name: name,
    dependencies: [
      "BPF", "KernelSockets", "KernelSocketsHost", .byName(name: server), .byName(name: "\(server)Object"),
    ],
    path: "\(folder)/\(name)")
}

let package = Package(
  name: "apus",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "apus", targets: ["apus"]),
    .library(name: "BPF", targets: ["BPF"]),
    .library(name: "KernelSockets", targets: ["KernelSockets"]),
    .library(name: "KernelSocketsHost", targets: ["KernelSocketsHost"]),
    .plugin(name: "CompileKernel", targets: ["CompileKernel"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // Kernel and host.
    freestanding("Wire"),
    freestanding("HTTPHead", ["Wire", "Contract"]),
    freestanding("Contract", ["Wire"]),
    freestanding("BPFKernel"),
    freestanding("KernelSockets", ["Wire", "BPFKernel"]),
    freestanding("KernelServer", ["Wire", "HTTPHead", "Contract", "BPFKernel", "KernelSockets"]),

    // The eBPF object of KernelServer, embedded.
    .target(
      name: "KernelServerObject", dependencies: ["KernelServer"],
      plugins: [.plugin(name: "CompileKernel")]),
    .plugin(name: "CompileKernel", capability: .buildTool(), dependencies: ["BPFBuild"]),
    .executableTarget(
      name: "BPFBuild",
      dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")]),

    // Host only.
    .target(name: "CBPF"),
    .target(name: "CLinux"),
    .target(name: "BPF", dependencies: ["CBPF"]),
    .target(name: "KernelSocketsHost", dependencies: ["BPF", "KernelSockets", "Wire"]),
    .target(
      name: "ApusServer",
      dependencies: [
        "BPF", "CLinux", "Contract", "HTTPHead", "KernelServerObject", "KernelSockets", "KernelSocketsHost", "Wire",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHPACK", package: "swift-nio-http2"),
        .product(name: "NIOHTTP2", package: "swift-nio-http2"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]),
    // eBPF programs to test the loader with, and their embedded object.
    .target(name: "BPFTestProgram", path: "Tests/BPFTestProgram", exclude: ["Kernel"]),
    .target(
      name: "BPFTestProgramObject", dependencies: ["BPFTestProgram"], path: "Tests/BPFTestProgramObject",
      plugins: [.plugin(name: "CompileKernel")]),
    .testTarget(name: "BPFTests", dependencies: ["BPF", "BPFTestProgramObject"]),
    .target(name: "KernelTestSupport", path: "Tests/KernelTestSupport"),
    .testTarget(name: "WireTests", dependencies: ["KernelTestSupport", "Wire"]),
    .target(
      name: "HeadReference", dependencies: ["Contract", "HTTPHead", "KernelTestSupport"], path: "Tests/HeadReference",
      resources: [.copy("Corpus.txt")]),
    .testTarget(name: "HTTPHeadTests", dependencies: ["Contract", "HTTPHead", "HeadReference", "KernelTestSupport"]),
    .testTarget(name: "KernelSocketsTests", dependencies: ["BPFKernel", "KernelSockets", "KernelTestSupport", "Wire"]),
    .testTarget(
      name: "KernelServerTests",
      dependencies: [
        "BPF", "BPFKernel", "Conformance", "Contract", "HTTPHead", "HeadReference", "KernelServer",
        "KernelServerObject", "KernelSockets", "KernelSocketsHost", "KernelTestSupport", "Wire",
      ]),
    .executableTarget(
      name: "apus",
      dependencies: [
        "ApusServer", "BPF", "Contract",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Configuration", package: "swift-configuration"),
        .product(name: "Yams", package: "Yams"),
        .product(name: "Logging", package: "swift-log"),
      ]),

    // Other servers on KernelSockets: the program for the kernel, its object, the host program that sets it up.
    example("EchoServer", in: "Examples/Echo"),
    exampleObject("EchoServer", in: "Examples/Echo"),
    exampleProgram("echo-server", of: "EchoServer", in: "Examples/Echo"),
    example("KeyValueServer", in: "Examples/KeyValue"),
    exampleObject("KeyValueServer", in: "Examples/KeyValue"),
    exampleProgram("keyvalue-server", of: "KeyValueServer", in: "Examples/KeyValue"),
    .testTarget(
      name: "ExampleTests",
      dependencies: [
        "BPFKernel", "EchoServer", "KernelSockets", "KernelSocketsHost", "KernelTestSupport", "KeyValueServer",
        "TestSupport", "Wire", "echo-server", "keyvalue-server",
      ]),

    // Tests.
    .target(name: "CFileSystems", path: "Tests/CFileSystems"),
    .testTarget(
      name: "ApusServerTests",
      dependencies: [
        "ApusServer", "CFileSystems", "CLinux", "Contract",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHPACK", package: "swift-nio-http2"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "ApusServer", "BPF", "apus", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "CTestSupport", path: "Tests/CTestSupport"),
    .target(name: "TestSupport", dependencies: ["BPF", "CBPF", "CTestSupport"], path: "Tests/TestSupport"),
    .testTarget(
      name: "EndToEndTests", dependencies: ["BPF", "BPFTestProgramObject", "KernelTestSupport", "TestSupport", "apus"]),
    .target(name: "Conformance", dependencies: ["KernelTestSupport"], path: "Tests/Conformance"),
    .testTarget(
      name: "ConformanceTests",
      dependencies: ["Conformance", "CTestSupport", "KernelTestSupport", "TestSupport", "apus"]),
  ],
  swiftLanguageModes: [.v6]
)

// In CI a warning is an error. Elsewhere it stays a warning: a newer compiler may know new ones.
if Context.environment["CI"] == "true" {
  for target in package.targets where [.regular, .executable, .test].contains(target.type) {
    target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
  }
}
