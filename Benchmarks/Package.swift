// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that whoever uses Apus does not build its benchmarks. Several targets are symbolic links to
// folders of Apus's package: the same namespaces, servers and packets as its tests have, without the part that needs
// Testing, and the request parser, to be timed on the host.
let package = Package(
  name: "apus-bench",
  platforms: [.macOS(.v15)],
  products: [
    // To be preloaded into a server under test.
    .library(name: "ClockShift", type: .dynamic, targets: ["ClockShift"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .target(name: "CBPF"),
    .target(name: "CTestSupport"),
    .target(name: "TestSupport", dependencies: ["CBPF", "CTestSupport"], exclude: ["Testing"]),
    .target(name: "KernelTestSupport"),
    .target(name: "Wire", exclude: ["Kernel"]),
    .target(name: "Contract", dependencies: ["Wire"]),
    .target(name: "HTTPHead", dependencies: ["Wire", "Contract"]),

    // What needs neither root nor a network: statistics, what clients print, reports and charts.
    .target(name: "Measuring"),
    .testTarget(name: "MeasuringTests", dependencies: ["Measuring"]),
    .executableTarget(
      name: "apus-bench",
      dependencies: [
        "CBPF", "HTTPHead", "KernelTestSupport", "Loading", "Measuring", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      resources: [.copy("Configuration")]),

    // A client that asks at a rate of its own.
    .target(name: "CEpoll"),
    .target(
      name: "Loading",
      dependencies: ["CEpoll", "Measuring", .product(name: "Histogram", package: "hdrhistogram-swift")]),
    .testTarget(name: "LoadingTests", dependencies: ["Loading"]),

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
