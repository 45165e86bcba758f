import Foundation
import TestSupport

/// Files that stay as they are, of different sizes, and no two alike.
final class CheckedFiles {
  let targets: [String]
  let bodies: [[UInt8]]
  var root: String { directory.path }
  let directory: ScratchDirectory

  /// - Parameter linesMax: of 12 bytes; the first file has 5.
  convenience init(count: Int, linesMax: Int = 80) throws {
    try self.init((0..<count).map { (5 + $0 * (linesMax - 5) / max(count, 1)) * 12 })
  }

  /// - Parameter sizes: bytes of each file, multiples of twelve.
  init(_ sizes: [Int]) throws {
    directory = try ScratchDirectory("checked")
    targets = sizes.indices.map { "/checked-\($0).css" }
    bodies = sizes.enumerated().map { file, size in
      // Every line has another number, so that no part of a file can stand for another.
      Array((0..<size / 12).map { String(format: "%04d:%05d.\n", file, $0) }.joined().utf8)
    }
    try write()
  }

  /// Writes them all, once more if they are gone.
  func write() throws {
    for (target, body) in zip(targets, bodies) { try directory.write(body, to: String(target.dropFirst())) }
  }
}

extension CheckedFiles {
  /// Some of the files.
  struct Selected: Sendable {
    var targets: [String]
    var bodies: [[UInt8]]
  }

  var all: Selected { Selected(targets: targets, bodies: bodies) }
  /// Those of so many bytes.
  func only(_ bytes: Int) -> Selected {
    let chosen = bodies.indices.filter { bodies[$0].count == bytes }
    return Selected(targets: chosen.map { targets[$0] }, bodies: chosen.map { bodies[$0] })
  }
}

/// Clients that ask for files and compare what they get with them.
struct CheckedLoad: Sendable {
  var targets: [String]
  var bodies: [[UInt8]]
  var threads: Int
  var requests: Int
  var requestsPerConnection: Int
  var timeout_s: Double
  /// Between two requests of a thread.
  var pause_s = 0.0
  /// Whether clients set TCP_NODELAY.
  var isNagleOff = true

  struct Result {
    var right = 0
    var wrong = 0
    var failures: [ClientFailure: Int] = [:]
    var latencies_s: [Double] = []
    /// Of answered requests, with the time to connect where they had to.
    var latencies: Latencies { Latencies(latencies_s) }

    var failureText: String {
      failures.sorted { $0.value > $1.value }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
  }

  init(
    files: CheckedFiles.Selected, threads: Int, requests: Int, requestsPerConnection: Int, timeout_s: Double,
    pause_s: Double = 0
  ) {
    targets = files.targets
    bodies = files.bodies
    self.threads = threads
    self.requests = requests
    self.requestsPerConnection = requestsPerConnection
    self.timeout_s = timeout_s
    self.pause_s = pause_s
  }

  /// - Parameter stop: ends the load before all requests are sent.
  func run(_ network: TestNetwork, port: UInt16 = 80, until stop: StopFlag? = nil) throws -> Result {
    Self.sum(try start(network, port: port, until: stop).wait())
  }

  func start(_ network: TestNetwork, port: UInt16 = 80, until stop: StopFlag? = nil) throws -> Crew<Result> {
    let address = network.serverAddress
    return try Crew(threads, in: network.client) { thread in
      var result = Result()
      var client: FaultClient?
      var onConnection = 0
      for number in 0..<requests / threads {
        if let stop, stop.isSet { break }
        let file = (thread * 7 + number) % targets.count
        let start_s = monotonicSeconds()
        do throws(ClientFailure) {
          if client == nil || onConnection == requestsPerConnection {
            client = nil
            client = try FaultClient(to: address, port: port, timeout_s: timeout_s, isNagleOff: isNagleOff)
            onConnection = 0
          }
          onConnection += 1
          let answer = try client!.get(targets[file], closes: onConnection == requestsPerConnection)
          if answer.status == 200, answer.body.elementsEqual(bodies[file]) {
            result.right += 1
          } else {
            result.wrong += 1
          }
          result.latencies_s.append(monotonicSeconds() - start_s)
        } catch {
          result.failures[error, default: 0] += 1
          client = nil
        }
        if pause_s > 0 { pause(seconds: pause_s) }
      }
      return result
    }
  }

  static func sum(_ results: [Result]) -> Result {
    results.reduce(into: Result()) { total, result in
      total.right += result.right
      total.wrong += result.wrong
      total.failures.merge(result.failures) { $0 + $1 }
      total.latencies_s += result.latencies_s
    }
  }
}
