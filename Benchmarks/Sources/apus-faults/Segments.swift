import Foundation
import TestSupport

/// Responses of one, two, five and ten segments, under loss in both directions and with Nagle's algorithm at work.
struct Segments {
  private let context: FaultContext
  private static let nginxPort: UInt16 = 8081
  private static let threads = 100
  private static let patience_s = 30.0
  /// nginx's latency at the 99th percentile may be exceeded by so much.
  private static let ratioMax = 1.3
  /// Segments of 1448 bytes, heads of about 230 among them.
  private static let sizes: [(segments: Int, bytes: Int)] = [(1, 600), (2, 2400), (5, 6804), (10, 14_004)]

  init(_ context: FaultContext) { self.context = context }

  func run() throws {
    for percent in context.isSample ? [1] : [1, 5, 20] {
      try TestNetwork.withLoss(percent: percent) { network in
        try withServers(in: network) { files, server in
          for size in Self.sizes {
            for isKept in [true, false] {
              let title = "\(size.segments) segments, \(percent) %, \(isKept ? "kept" : "short") connections"
              context.attempt(title) {
                try loss(title, network, server, files.only(size.bytes), percent: percent, isKept: isKept)
              }
            }
          }
        }
      }
    }
    try TestNetwork.withVeth { network in
      try withServers(in: network) { files, server in
        for size in Self.sizes {
          let title = "\(size.segments) segments, Nagle's algorithm"
          context.attempt(title) { try nagle(title, network, server, files.only(size.bytes)) }
        }
      }
    }
  }

  /// Files of all sizes and both servers, ready to be asked.
  private func withServers(in network: TestNetwork, _ body: (CheckedFiles, ApusProcess) throws -> Void) throws {
    try network.client.set("ipv4/ip_local_port_range", to: "'1024 65535'")
    let files = try CheckedFiles(Self.sizes.flatMap { Array(repeating: $0.bytes, count: 10) })
    let nginx = try NginxServer(in: network, port: Self.nginxPort, root: files.root)
    let server = try context.serve(network, root: files.root)
    try context.warm(server, files.targets, over: network)
    try body(files, server)
    withExtendedLifetime(nginx) {}
  }

  private func loss(
    _ title: String, _ network: TestNetwork, _ server: ApusProcess, _ files: CheckedFiles.Selected, percent: Int,
    isKept: Bool
  ) throws {
    // At 20 % a short connection takes seconds.
    let requests = percent == 20 ? 2000 : context.count(20_000, sample: 1000)
    let load = CheckedLoad(
      files: files, threads: Self.threads, requests: requests,
      requestsPerConnection: isKept ? requests / Self.threads : 1, timeout_s: 120)
    let before = try server.status()
    let apus = try load.run(network, port: 80)
    let after = try server.status()
    let peer = try load.run(network, port: Self.nginxPort)
    let ratio = apus.latencies.percentile_ms(99) / peer.latencies.percentile_ms(99)
    // At 1 % every hundredth request is lost and waits for a time-out: the 99th percentile stands at the edge of a
    // cliff, and on which side is chance.
    let (bounds, peerBounds) = (apus.latencies.percentileBounds_ms(99), peer.latencies.percentileBounds_ms(99))
    let ratioLeast = bounds.lowerBound / peerBounds.upperBound
    var measured = "\(apus.right) of \(requests) right, \(apus.wrong) wrong; "
    measured += "\(percentage(after.hits - before.hits, of: requests)) hits; "
    measured += "\(apus.latencies); nginx \(peer.latencies); p99 ratio \(format(ratio, decimals: 2)), "
    measured += "by chance \(format(ratioLeast, decimals: 2)) to "
    measured += format(bounds.upperBound / peerBounds.lowerBound, decimals: 2)
    if !apus.failures.isEmpty { measured += "; \(apus.failureText)" }
    if !peer.failures.isEmpty { measured += "; nginx: \(peer.failureText)" }
    let failed = apus.failures.values.reduce(0, +)
    // A thousand requests say nothing of the slowest hundredth.
    let isFast = ratioLeast <= Self.ratioMax || context.isSample
    let isAnswered = apus.right == requests && apus.latencies.longest_s <= Self.patience_s && isFast
    context.add(
      title,
      promise: percent == 20
        ? "none wrong, none given up that nginx's clients did not"
        : "all within 30 s, p99 at most 1.3 x nginx's but for chance",
      measured: measured,
      kept: apus.wrong == 0 && (percent == 20 ? failed <= peer.failures.values.reduce(0, +) : isAnswered))
  }

  /// Without TCP_NODELAY a client holds a small request back until what it sent before is acknowledged.
  private func nagle(
    _ title: String, _ network: TestNetwork, _ server: ApusProcess, _ files: CheckedFiles.Selected
  ) throws {
    let requests = context.count(5000, sample: 1000)
    var load = CheckedLoad(
      files: files, threads: 2, requests: requests, requestsPerConnection: requests / 2, timeout_s: 20)
    load.isNagleOff = false
    let before = try server.status()
    let apus = try load.run(network, port: 80)
    let after = try server.status()
    let peer = try load.run(network, port: Self.nginxPort)
    let stalls = apus.stalls
    context.add(
      title, promise: "no stalls of 40 ms that nginx does not have",
      measured: "\(apus.right) of \(requests) right; \(percentage(after.hits - before.hits, of: requests)) hits; "
        + "\(stalls) stalls, nginx \(peer.stalls); \(apus.latencies); nginx \(peer.latencies)",
      // Some may be the machine's: with stalls of TCP's, most requests would have one.
      kept: apus.right == requests && stalls <= peer.stalls + requests / (context.isSample ? 20 : 1000))
  }
}

extension CheckedLoad.Result {
  /// Requests that took as long as a delayed acknowledgement.
  fileprivate var stalls: Int { latencies_s.count { $0 >= 0.035 } }
}
