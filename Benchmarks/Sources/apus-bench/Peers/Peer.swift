import Foundation
import TestSupport

/// A server that can be measured.
protocol Peer: Sendable {
  /// What `--peers` and results call it.
  var id: String { get }
  /// What it is, in a few words.
  var title: String { get }
  /// Commands it needs, with the Debian package of each.
  var needs: [Need] { get }

  /// Starts it at port 80 of the place's server, on the server's CPU, and waits until it answers.
  func start(at place: Place) throws -> any StartedPeer
}

/// A server that runs.
protocol StartedPeer: AnyObject {
  /// Has it hold what it can hold of these targets, as any server does that has been asked for them before.
  func warm(_ targets: [(target: String, size: Int)]) throws
  /// Counters that say who answers, or nothing where that is no question.
  func counters() throws -> StatusReport?
  /// Throws unless the figures are of those whose name they will bear.
  ///
  /// - Parameters:
  ///   - requests: answered.
  ///   - sizes: of the bodies asked for; empty where who answers is a result.
  func check(from before: StatusReport?, to after: StatusReport?, requests: Int, sizes: [Int]) throws
  /// A process that runs the eBPF program of this server, if there is one.
  var kernelPartHolder: pid_t? { get }
}

extension StartedPeer {
  func warm(_ targets: [(target: String, size: Int)]) throws {}
  func counters() throws -> StatusReport? { nil }
  func check(from before: StatusReport?, to after: StatusReport?, requests: Int, sizes: [Int]) throws {}
  var kernelPartHolder: pid_t? { nil }
}

/// A command, and the Debian package it comes in.
struct Need: Hashable, Sendable {
  var command: String
  var package: String

  var isMet: Bool {
    searchPath.split(separator: ":").contains { access("\($0)/\(command)", X_OK) == 0 }
  }
}

/// PATH with the directories Debian puts servers in.
let searchPath = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") + ":/usr/sbin:/sbin"

/// Where a server is started.
struct Place {
  var network: TestNetwork
  /// Of the files served.
  var root: String
  var cpus: CPUs
  /// The `apus` to measure.
  var apus: String
}
