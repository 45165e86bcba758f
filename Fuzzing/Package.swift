// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because everything in it is compiled with libFuzzer's coverage (`Scripts/fuzz`). All targets but
// the fuzzer are symbolic links to folders of Apus's package: the parser, and what its tests hold it against.
let package = Package(
  name: "apus-fuzz",
  platforms: [.macOS(.v15)],
  targets: [
    .target(name: "Wire", exclude: ["Kernel"]),
    .target(name: "Contract", dependencies: ["Wire"]),
    .target(name: "HTTPHead", dependencies: ["Wire", "Contract"]),
    .target(name: "KernelTestSupport"),
    .target(
      name: "HeadReference", dependencies: ["Contract", "HTTPHead", "KernelTestSupport"],
      resources: [.copy("Corpus.txt")]),
    .executableTarget(name: "HeadFuzzer", dependencies: ["HeadReference", "KernelTestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
