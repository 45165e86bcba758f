// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that whoever uses Apus does not build its benchmark. TestSupport, CTestSupport
// and CBPF are symbolic links to the folders of Apus's package: the same namespaces and servers, without the part that
// needs Testing.
let package = Package(
  name: "apus-benchmark",
  platforms: [.macOS(.v15)],
  products: [
    // To be preloaded into a server under test.
    .library(name: "ClockShift", type: .dynamic, targets: ["ClockShift"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .target(name: "CBPF"),
    .target(name: "CTestSupport"),
    .target(name: "TestSupport", dependencies: ["CBPF", "CTestSupport"], exclude: ["Testing"]),
    .executableTarget(
      name: "apus-benchmark",
      dependencies: [
        "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "CFaults"),
    .target(name: "ClockShift"),
    .executableTarget(
      name: "apus-faults",
      dependencies: [
        "CFaults", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
