import Foundation
import TestSupport

/// What is missing, from Debian's packages.
enum Installation {
  /// What draws the charts.
  static let plotting = Need(command: "gnuplot", package: "gnuplot-nox")

  /// Those that are not installed.
  static func missing(_ needs: [Need]) -> [Need] {
    var seen: Set<Need> = []
    return needs.filter { seen.insert($0).inserted && !$0.isMet }
  }

  /// Installs packages, and keeps their services from being started: the servers are run in namespaces, by us.
  static func install(_ needs: [Need]) throws {
    let packages = Set(needs.map(\.package)).sorted()
    guard !packages.isEmpty else { return }
    guard Need(command: "apt-get", package: "apt").isMet else {
      throw SupportError("--install needs apt-get; not installed: \(packages.joined(separator: ", "))")
    }
    let policy = "/usr/sbin/policy-rc.d"
    let isOurs = access(policy, F_OK) != 0
    if isOurs {
      try "#!/bin/sh\nexit 101\n".write(toFile: policy, atomically: true, encoding: .utf8)
      chmod(policy, 0o755)
    }
    defer { if isOurs { unlink(policy) } }
    let environment = ["DEBIAN_FRONTEND": "noninteractive"]
    try CommandResult.run(["apt-get", "update", "-qq"], environment: environment, timeout_s: 300).orThrow()
    try CommandResult.run(
      ["apt-get", "install", "-y", "-qq", "--no-install-recommends"] + packages, environment: environment,
      timeout_s: 900
    ).orThrow()
  }
}
