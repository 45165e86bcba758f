import ArgumentParser
import TestSupport

/// Who answers.
enum Contender: String, CaseIterable, ExpressibleByArgument {
  case nginx
  /// Apus in kernel mode: every request a hit.
  case kernel
  /// Apus in kernel mode, every request handed over to its built-in server (by a query).
  case handover
  /// Apus in user mode.
  case user

  var title: String {
    switch self {
    case .nginx: "nginx"
    case .kernel: "Apus, kernel mode"
    case .handover: "Apus, kernel mode, handed over"
    case .user: "Apus, user mode"
    }
  }
}

/// What is asked for, and how.
struct Workload {
  var title: String
  var fileBytes: Int
  /// wrk with keep-alive, or ab with a connection per request.
  var keepAlive: Bool

  var path: String { "/file-\(fileBytes).html" }

  static let connections = 32

  static let all = [
    Workload(title: "64 B, keep-alive (wrk)", fileBytes: 64, keepAlive: true),
    Workload(title: "1 KB, keep-alive (wrk)", fileBytes: 1024, keepAlive: true),
    Workload(title: "14 KB, keep-alive (wrk)", fileBytes: 14_000, keepAlive: true),
    Workload(title: "64 B, a connection per request (ab)", fileBytes: 64, keepAlive: false),
    Workload(title: "1 KB, a connection per request (ab)", fileBytes: 1024, keepAlive: false),
  ]

  /// Loads a server for so many seconds.
  func run(_ url: String, from client: NetworkNamespace, duration_s: Int, on cpu: Int) throws -> LoadResult {
    let pinned = ["taskset", "-c", "\(cpu)"]
    let result =
      if keepAlive {
        try client.wrk(url, connections: Self.connections, duration_s: duration_s, commandPrefix: pinned)
      } else {
        // ab keeps a record of every request it may send, so the limit is not just any large number.
        try client.ab(
          url, requests: 200_000 * duration_s, concurrency: Self.connections, duration_s: duration_s,
          commandPrefix: pinned)
      }
    guard result.failures == 0, result.requests > 0 else {
      throw SupportError("\(title): requests failed\n\(result.output)")
    }
    return result
  }
}
