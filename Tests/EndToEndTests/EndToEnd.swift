import TestSupport
import Testing

/// Everything here drives the built `apus` binary over a real network path. The tests run one after the other: each
/// may use the whole machine for a moment, and some measure time.
@Suite(.serialized) struct EndToEnd {}

/// The files most tests ask for. Made once: a file must have been quiet for a while before Apus stores it.
struct Site: Sendable {
  static let small = "/small.html"
  static let other = "/styles/other.css"
  static let empty = "/empty.txt"
  /// More than any answer of the kernel part.
  static let large = "/large.bin"

  let root: String
  let bodies: [String: [UInt8]]

  static let shared: Site = {
    do {
      let directory = try ScratchDirectory("site")
      let sizes = [(small, 900), (other, 1000), (empty, 0), (large, 5_000_000)]
      var bodies: [String: [UInt8]] = [:]
      for (path, size) in sizes {
        // Lines of a width no power of two divides, so that a byte out of place shows.
        let text = (0..<size).map { UInt8(ascii: "a") + UInt8($0 % 23) }
        try directory.write(text, to: String(path.dropFirst()))
        bodies[path] = text
      }
      pause(seconds: 2.5)
      kept.append(directory)
      return Site(root: directory.path, bodies: bodies)
    } catch {
      fatalError("\(error)")
    }
  }()

  func body(_ path: String) -> [UInt8] { bodies[path]! }

  /// Keeps the directory as long as the process; the janitor removes it.
  nonisolated(unsafe) private static var kept: [ScratchDirectory] = []
}

/// A server under test with what surrounds it.
struct Bench {
  let network: TestNetwork
  let apus: ApusProcess
  /// The unmodified server behind, on port 8081.
  let nginx: NginxServer?
  let port: UInt16

  func connect() throws -> RawClient { try RawClient(network, port: port) }
  func origin() -> String { "http://\(network.server(port: port))" }

  /// What the server behind logged of requests the client sent. Apus itself asks it too, from the server's address.
  func clientLog() throws -> [NginxServer.LogLine] {
    try nginx!.log().filter { $0.remoteAddress == network.clientAddress }
  }

  /// Apus in kernel mode over veth, with the given targets in the kernel cache.
  static func kernel(
    root: String = Site.shared.root, backend: Bool = false, warm: [String] = [], _ body: (Bench) throws -> Void
  ) throws {
    try TestNetwork.withVeth { network in
      try kernel(on: network, root: root, backend: backend, warm: warm, body)
    }
  }

  static func kernel(
    on network: TestNetwork, root: String = Site.shared.root, backend: Bool = false, warm: [String] = [],
    _ body: (Bench) throws -> Void
  ) throws {
    let nginx = backend ? try NginxServer(in: network, port: 8081, root: root) : nil
    let apus = try ApusProcess(in: network, root: root, backendPort: nginx?.port)
    try apus.warm(warm, over: network)
    try body(Bench(network: network, apus: apus, nginx: nginx, port: 80))
    #expect(apus.process.poll() == nil, "apus ended: \(apus.process.transcript)")
  }

  /// Apus in user mode over loopback: no privileges needed.
  static func user(
    root: String = Site.shared.root, arguments: [String] = [], _ body: (Bench) throws -> Void
  ) throws {
    try TestNetwork.withLoopbackUnprivileged { network in
      let port = try network.freePort()
      let apus = try ApusProcess(in: network, root: root, port: port, mode: "user", arguments: arguments)
      try body(Bench(network: network, apus: apus, nginx: nil, port: port))
      #expect(apus.process.poll() == nil, "apus ended: \(apus.process.transcript)")
    }
  }
}

/// A response that is the whole file, framed right.
func expectFile(
  _ response: HTTPResponse, _ path: String, of site: Site = .shared,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(response.status == 200, sourceLocation: sourceLocation)
  #expect(response["content-length"] == "\(site.body(path).count)", sourceLocation: sourceLocation)
  // A comparison of the arrays in #expect would print both when it fails.
  let same = response.body == site.body(path)
  #expect(same, "\(path): \(response.body.count) bytes that are not the file's", sourceLocation: sourceLocation)
}

/// A head without its Date, which alone may differ from one answer to the next.
func withoutDate(_ head: [UInt8]) -> [Substring] {
  String(decoding: head, as: UTF8.self).split(separator: "\r\n").filter { !$0.lowercased().hasPrefix("date:") }
}
