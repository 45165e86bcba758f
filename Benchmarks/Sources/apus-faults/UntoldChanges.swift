import Foundation
import TestSupport

/// Changes inotify does not tell of, one at a time: how long is the old version answered?
struct UntoldChanges {
  enum Change: String, CaseIterable {
    /// Through a shared mapping that stays.
    case mapping = "write through a mapping"
    /// Through another name of the file, outside of the root.
    case hardLink = "write through a hard link"
    /// Another directory is mounted over that of the files, and goes again.
    case mount = "mount and unmount"
  }

  private let context: FaultContext
  private static let files = 20
  private static let lines = 60
  private static let limit_s = 1.0

  init(_ context: FaultContext) { self.context = context }

  func run() {
    for change in Change.allCases {
      context.attempt(change.rawValue) { try run(change) }
    }
  }

  /// Of one letter each.
  private static func body(_ version: Int) -> [UInt8] {
    Array(repeating: UInt8(ascii: "A") + UInt8(version % 26), count: 16 * lines)
  }

  private func run(_ change: Change) throws {
    let rounds = context.count(20, sample: 6)
    let directory = try ScratchDirectory("untold")
    let targets = (0..<Self.files).map { "/d/\($0).txt" }
    for target in targets { try directory.write(Self.body(0), to: "root" + target) }
    if change == .hardLink {
      for number in 0..<Self.files { try Self.link(directory, number) }
    }
    if change == .mount {
      for number in 0..<Self.files { try directory.write(Self.body(1), to: "other/\(number).txt") }
    }
    try TestNetwork.withVeth { network in
      try FaultClient.tellApart(network)
      let server = try context.serve(network, root: directory.path(of: "root"))
      var ages_s: [Double] = []
      var wrong = 0
      for round in 0..<rounds {
        let file = round % Self.files
        try context.warm(server, [targets[file]], over: network)
        let keep = try apply(change, round: round, file: file, directory, server)
        let changed_s = monotonicSeconds()
        let expected = Self.body(change == .mount ? (round + 1) % 2 : 1)
        let seen = try watch(network, targets[file], until: expected, since_s: changed_s)
        ages_s.append(seen.oldest_s)
        wrong += seen.wrong
        keep?()
        if change == .mapping { try directory.write(Self.body(0), to: "root" + targets[file]) }
        if change == .hardLink {
          try directory.write(Self.body(0), to: "root" + targets[file])
          try Self.link(directory, file)
        }
      }
      context.add(
        change.rawValue, promise: "old for at most 1 s, nothing else",
        measured:
          "\(rounds) changes of stored files: the old version for \(format(Latencies(ages_s).percentile_ms(50))) ms "
          + "(median), \(format(Latencies(ages_s).longest_s * 1000)) ms (longest); \(wrong) answers of neither version",
        kept: ages_s.allSatisfy { $0 <= Self.limit_s } && wrong == 0)
    }
  }

  /// The other name, outside of the root, where nothing is watched.
  private static func link(_ directory: ScratchDirectory, _ number: Int) throws {
    let other = directory.path(of: "other-\(number)")
    unlink(other)
    guard Glibc.link(directory.path(of: "root/d/\(number).txt"), other) == 0 else {
      throw SupportError.systemCall("link", errno)
    }
  }

  /// - Returns: what ends the change, if it lasts.
  private func apply(
    _ change: Change, round: Int, file: Int, _ directory: ScratchDirectory, _ server: ApusProcess
  ) throws -> (() -> Void)? {
    switch change {
    case .mapping:
      let descriptor = open(directory.path(of: "root/d/\(file).txt"), O_RDWR | O_CLOEXEC)
      guard descriptor >= 0 else { throw SupportError.systemCall("open", errno) }
      defer { close(descriptor) }
      let body = Self.body(1)
      guard let mapping = mmap(nil, body.count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
        mapping != MAP_FAILED
      else { throw SupportError.systemCall("mmap", errno) }
      body.withUnsafeBytes { mapping.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      nonisolated(unsafe) let kept = mapping
      return { munmap(kept, body.count) }
    case .hardLink:
      let descriptor = open(directory.path(of: "other-\(file)"), O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw SupportError.systemCall("open", errno) }
      defer { close(descriptor) }
      let body = Self.body(1)
      guard write(descriptor, body, body.count) == body.count else { throw SupportError.systemCall("write", errno) }
    case .mount:
      // `ip netns exec` has given the server a mount namespace of its own.
      let place = directory.path(of: "root/d")
      let command =
        round % 2 == 0 ? ["mount", "--bind", directory.path(of: "other"), place] : ["umount", "--lazy", place]
      try CommandResult.run(["nsenter", "--target", "\(server.process.pid)", "--mount"] + command).orThrow()
    }
    return nil
  }

  /// Asks on new connections until the answer is the expected one.
  ///
  /// - Returns: when the last other answer was asked for, from the change; and how many were neither version.
  private func watch(
    _ network: TestNetwork, _ target: String, until expected: [UInt8], since_s: Double
  ) throws -> (oldest_s: Double, wrong: Int) {
    let address = network.serverAddress
    let versions = [Self.body(0), Self.body(1)]
    return try network.client.withThread {
      var oldest_s = 0.0
      var wrong = 0
      while true {
        let sent_s = monotonicSeconds()
        guard sent_s - since_s < 10 else { throw SupportError("the old version is answered for ever") }
        let answer = try FaultClient(to: address, port: 80, timeout_s: 5).get(target, closes: true)
        if answer.body.elementsEqual(expected) { return (oldest_s, wrong) }
        if !versions.contains(Array(answer.body)) { wrong += 1 }
        oldest_s = sent_s - since_s
        pause(seconds: 0.01)
      }
    }
  }
}
