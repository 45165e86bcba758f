import Foundation
import Measuring
import TestSupport

/// What is asked of a server, for a while.
struct Load {
  /// The server's address as the client sees it; its port is 80.
  var authority: String
  /// At least one; where there are several they are asked for one after the other.
  var targets: [String]
  var connections: Int
  var keepsAlive: Bool
  var duration_s: Double
  /// Requests per second all connections together send, whatever the server does, which only `Clients.openLoop` can;
  /// `nil`: each connection sends when it is answered.
  var rate: Double?
  /// The client's address, where it can choose.
  var localAddress: String?
  /// Times a request is sent elsewhere before it is answered, which only siege follows.
  var redirections = 0
  /// A connection that answers later than this has failed.
  var timeout_s = 10.0
  /// TLS 1.3 with `cipher`; only h2load can be told.
  var isTLS = false
  static let cipher = "TLS_AES_128_GCM_SHA256"

  var url: String { url(targets[0]) }
  func url(_ target: String) -> String { "\(isTLS ? "https" : "http")://\(authority)\(target)" }
}

/// A load generator.
protocol Client: Sendable {
  var id: String { get }
  var need: Need { get }

  /// Loads a server from the client's namespace.
  ///
  /// - Parameter prefix: pins it to its CPU.
  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures
}

enum Clients {
  static let wrk: any Client = Wrk()
  static let ab: any Client = ApacheBench()
  static let h2load: any Client = H2Load()
  static let httperf: any Client = Httperf()
  static let siege: any Client = Siege()
  static let openLoop: any Client = OpenLoopClient()
}

extension Client {
  /// - Returns: what the client printed.
  fileprivate func output(
    _ command: [String], _ load: Load, _ namespace: NetworkNamespace, _ prefix: [String]
  ) throws -> String {
    try namespace.run(prefix + command, timeout_s: load.duration_s + 60).orThrow().output
  }
}

/// wrk: many connections, a single thread, requests as fast as answers come.
struct Wrk: Client {
  let id = "wrk"
  let need = Need(command: "wrk", package: "wrk")

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    var command = ["wrk", "-t1", "-c\(load.connections)", "-d\(wholeSeconds(load))s", "--latency"]
    command += ["--timeout", "\(Int(load.timeout_s))s"]
    if !load.keepsAlive { command += ["-H", "Connection: close"] }
    let directory = try ScratchDirectory("wrk")
    if load.targets.count > 1 {
      try directory.write(Self.script(load.targets).utf8, to: "targets.lua")
      command += ["-s", directory.path(of: "targets.lua")]
    }
    return try ClientOutput.wrk(output(command + [load.url], load, namespace, prefix))
  }

  /// Lua for wrk: asks for the targets one after the other, by requests made once, with the fields of -H.
  private static func script(_ targets: [String]) -> String {
    """
    local targets = { \(targets.map { "\"\($0)\"" }.joined(separator: ", ")) }
    local requests, last = {}, 0
    init = function(args)
      for index, target in ipairs(targets) do requests[index] = wrk.format(nil, target) end
    end
    request = function()
      last = last % #requests + 1
      return requests[last]
    end

    """
  }
}

/// ab, which speaks HTTP/1.0.
struct ApacheBench: Client {
  let id = "ab"
  let need = Need(command: "ab", package: "apache2-utils")

  /// More than any server here answers in a second.
  private static let requestsPerSecondMax = 200_000.0

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    let directory = try ScratchDirectory("ab")
    let percentiles = directory.path(of: "percentiles")
    // -t sets -n, so -n comes after it. ab keeps a record of every request it may send, so the limit is not just any
    // large number.
    let limit = Int(Self.requestsPerSecondMax * load.duration_s)
    var command = ["ab", "-q", "-t", wholeSeconds(load), "-n", "\(limit)", "-c", "\(load.connections)"]
    command += ["-s", "\(Int(load.timeout_s))", "-e", percentiles]
    if load.keepsAlive { command.append("-k") }
    if let address = load.localAddress { command += ["-B", address] }
    let text = try output(command + [load.url], load, namespace, prefix)
    let table = (try? String(contentsOfFile: percentiles, encoding: .utf8)) ?? ""
    return try ClientOutput.ab(text, percentiles: table)
  }
}

/// h2load, speaking HTTP/1.1, also over TLS.
struct H2Load: Client {
  let id = "h2load"
  let need = Need(command: "h2load", package: "nghttp2-client")

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    let directory = try ScratchDirectory("h2load")
    let list = load.targets.map { load.url($0) + "\n" }.joined()
    try directory.write(list.utf8, to: "targets")
    var command = ["h2load", "--h1", "-t1", "-c\(load.connections)", "-D", wholeSeconds(load)]
    command += ["-N", "\(Int(load.timeout_s))s", "-i", directory.path(of: "targets")]
    if !load.keepsAlive { command += ["-H", "Connection: close"] }
    if load.isTLS { command += ["--tls13-ciphers", Load.cipher] }
    return try ClientOutput.h2load(output(command, load, namespace, prefix), duration_s: load.duration_s.rounded(.up))
  }
}

/// httperf, the report's own, as the report ran it: one connection after the other, a request on each.
struct Httperf: Client {
  let id = "httperf"
  let need = Need(command: "httperf", package: "httperf")

  /// Connections from which the number is estimated that takes as long as is wanted.
  private static let probe = 500

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    func ask(_ connections: Int) throws -> ClientFigures {
      let command = [
        "httperf", "--server", load.authority, "--port", "80", "--uri", load.targets[0], "--num-conns",
        "\(connections)", "--num-calls", "1", "--timeout", "\(load.timeout_s)", "--add-header", "Connection: close\\n",
      ]
      return try ClientOutput.httperf(output(command, load, namespace, prefix))
    }
    let rate = try ask(Self.probe).requestsPerSecond
    return try ask(max(Self.probe, Int(rate * load.duration_s)))
  }
}

/// siege, the one that follows redirections; a thread for each connection, a connection for each request.
struct Siege: Client {
  let id = "siege"
  let need = Need(command: "siege", package: "siege")

  /// Of siegerc: what is not as it comes, or not the same everywhere.
  private static let settings = [
    "verbose = false", "logging = false", "protocol = HTTP/1.1", "connection = close", "follow-location = true",
    "parser = false", "cache = false", "cookies = false", "failures = 1000000", "limit = 10000",
  ]

  /// Requests of each connection from which the number is estimated that takes as long as is wanted. Told a time siege
  /// cancels its threads at the end of it, and now and then waits for one that does not hear.
  private static let probe = 20

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    precondition(!load.keepsAlive, "siege is set to close its connections")
    let directory = try ScratchDirectory("siege")
    try directory.write((Self.settings.joined(separator: "\n") + "\n").utf8, to: "siegerc")
    func ask(_ requests: Int) throws -> ClientFigures {
      let command = [
        "siege", "-R", directory.path(of: "siegerc"), "--json-output", "-b", "-c", "\(load.connections)", "-r",
        "\(requests)", load.url,
      ]
      return try ClientOutput.siege(
        output(command, load, namespace, prefix), transactionsPerRequest: 1 + load.redirections)
    }
    let rate = try ask(Self.probe).requestsPerSecond
    return try ask(max(Self.probe, Int(rate * load.duration_s) / load.connections))
  }
}

/// This program's own (`apus-bench load`), which asks at a rate the server has no part in.
struct OpenLoopClient: Client {
  let id = "apus-bench load"
  let need = Need(command: "taskset", package: "util-linux")

  /// More than any server here answers: each connection sends when it is answered.
  private static let unbounded = 10_000_000.0

  func run(_ load: Load, from namespace: NetworkNamespace, prefix: [String]) throws -> ClientFigures {
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let command = [
      program, "load", load.url, "--rate", "\(load.rate ?? Self.unbounded)", "--connections", "\(load.connections)",
      "--duration", "\(load.duration_s)",
    ]
    let text = try output(command, load, namespace, prefix)
    return ClientFigures(try JSONDecoder().decode(LoadFigures.self, from: Data(text.utf8)))
  }
}

/// Clients take whole seconds.
private func wholeSeconds(_ load: Load) -> String { "\(max(1, Int(load.duration_s.rounded(.up))))" }
