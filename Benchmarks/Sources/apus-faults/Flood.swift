import Foundation
import TestSupport

/// Strangers send as fast as one CPU can, while a hundred good clients work.
struct Flood {
  private let context: FaultContext
  private static let goodClients = 100

  init(_ context: FaultContext) { self.context = context }

  private enum Kind: String, CaseIterable {
    case none = "no flood"
    case syn = "SYN flood"
    case ack = "ACK flood"
    case data = "spoofed requests"
    case blindSYN = "blind SYN"
    case blindReset = "blind RST"
  }

  func run() throws {
    let files = try CheckedFiles(count: 20)
    for kind in Kind.allCases { context.attempt(kind.rawValue) { try run(kind, files) } }
    context.attempt("random paths and Hosts") { try randomPaths(files) }
  }

  private func run(_ kind: Kind, _ files: CheckedFiles) throws {
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      let before = try Memory(of: server)
      let countersBefore = try KernelCounters(of: server)
      let stop = StopFlag()
      let flood = kind == .none ? nil : try start(kind, network, until: stop)
      let load = CheckedLoad(
        files: files.all, threads: Self.goodClients, requests: .max / 2, requestsPerConnection: 10, timeout_s: 15,
        pause_s: 0.02)
      let crew = try load.start(network, until: stop)
      let duration_s = Double(context.count(5, sample: 2))
      pause(seconds: duration_s)
      stop.set()
      let sent = flood?.wait().reduce(0, +) ?? 0
      let result = CheckedLoad.sum(crew.wait())
      let counters = try KernelCounters(of: server)
      let grown = try Memory(of: server).kilobytes - before.kilobytes
      let connections = try server.status().kernel?.connections ?? -1
      var measured = "\(format(Double(sent) / duration_s)) packets/s; good clients: \(result.right) right, "
      measured += "\(result.wrong) wrong, \(result.failures.values.reduce(0, +)) failed; \(result.latencies); "
      measured += "handshakes \(counters.handshakes - countersBefore.handshakes), drops "
      measured += "\(counters.drops - countersBefore.drops), left to the kernel "
      measured += "\(counters.leftToKernel - countersBefore.leftToKernel), \(connections) connections, "
      measured += "daemon's memory \(grown >= 0 ? "+" : "")\(grown) KB"
      if !result.failures.isEmpty { measured += "; \(result.failureText)" }
      // The table may hold the good clients' connections, and nothing of the strangers'.
      let mine = result.right / 10 + Self.goodClients
      context.add(
        kind.rawValue, promise: "all good requests succeed, nothing stored for strangers", measured: measured,
        kept: result.right > 0 && result.wrong == 0 && result.failures.isEmpty && connections <= mine
          && grown < 50_000 && (kind == .none || sent > 0))
    }
  }

  /// - Returns: the packets sent, from one thread on the last CPU.
  private func start(_ kind: Kind, _ network: TestNetwork, until stop: StopFlag) throws -> Crew<Int> {
    nonisolated(unsafe) let sender = try RawSender(network)
    let request = Array("GET /checked-1.css HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    return try Crew(1, in: network.client) { _ in
      ThreadControl.bindToLastCPU()
      var random = FastRandom()
      var sent = 0
      while !stop.isSet {
        for _ in 0..<RawSender.batch {
          let word = random.next()
          var segment = RawSegment(
            source: RawSender.strangers + UInt32(word & UInt64(RawSender.strangersCount - 1)),
            destination: sender.serverAddress, sourcePort: UInt16(truncatingIfNeeded: word >> 17) | 1024,
            destinationPort: 80, sequence: UInt32(truncatingIfNeeded: word >> 32), flags: RawSegment.syn)
          if kind != .syn { segment.acknowledgement = UInt32(truncatingIfNeeded: random.next()) }
          switch kind {
          case .none, .syn: sender.add(segment)
          case .ack:
            segment.flags = RawSegment.ack
            sender.add(segment)
          case .data:
            segment.flags = RawSegment.ack | RawSegment.push
            sender.add(segment, payload: request)
          case .blindSYN, .blindReset:
            // As if from the good clients' own address: only ports and numbers are guessed (RFC 5961).
            segment.source = sender.clientAddress
            if kind == .blindReset { segment.flags = RawSegment.rst }
            sender.add(segment)
          }
        }
        sent += sender.flush()
      }
      return sent
    }
  }

  /// Paths that do not exist and Hosts nobody has: no room is taken by them, and the good objects stay.
  private func randomPaths(_ files: CheckedFiles) throws {
    try TestNetwork.withVeth { network in
      let server = try context.serve(network, root: files.root)
      try context.warm(server, files.targets, over: network)
      let before = try Memory(of: server)
      let objectsBefore = try server.status().cache.objects
      let address = network.serverAddress
      let stop = StopFlag()
      let strangers = try Crew<Int>(8, in: network.client) { thread in
        var random = FastRandom(seed: UInt64(thread) + 1)
        var count = 0
        var client: FaultClient?
        while !stop.isSet {
          do throws(ClientFailure) {
            if count % 20 == 0 { client = nil }
            if client == nil { client = try FaultClient(to: address, port: 80, timeout_s: 10) }
            let answer = try client!.get(
              "/\(String(random.next(), radix: 36))/\(random.next())", host: "h\(random.next()).example")
            if answer.status == 404 { count += 1 }
          } catch {
            client = nil
          }
        }
        return count
      }
      let load = CheckedLoad(
        files: files.all, threads: 20, requests: .max / 2, requestsPerConnection: 10, timeout_s: 15, pause_s: 0.02)
      let crew = try load.start(network, until: stop)
      let hitsBefore = try server.status().hits
      pause(seconds: Double(context.count(5, sample: 2)))
      stop.set()
      let asked = strangers.wait().reduce(0, +)
      let result = CheckedLoad.sum(crew.wait())
      let after = try server.status()
      let grown = try Memory(of: server).kilobytes - before.kilobytes
      context.add(
        "random paths and Hosts", promise: "all good requests succeed, the cache keeps its objects, memory bounded",
        measured: "\(asked) answered 404; good clients: \(result.right) right, \(result.wrong) wrong, "
          + "\(result.failures.values.reduce(0, +)) failed, \(after.hits - hitsBefore) hits; \(result.latencies); "
          + "objects \(objectsBefore) before, \(after.cache.objects) after; daemon's memory "
          + "\(grown >= 0 ? "+" : "")\(grown) KB",
        // Paths that lead nowhere are objects too, in a sixteenth of the store at most.
        kept: asked > 0 && result.right > 0 && result.wrong == 0 && result.failures.isEmpty
          && after.cache.bytes * 8 <= (after.cache.budget ?? 0) && (after.hits - hitsBefore) * 2 > result.right
          && grown < 50_000)
    }
  }
}

/// Marsaglia's xorshift64*: the flood must not wait for its random numbers.
struct FastRandom {
  private var state: UInt64
  init(seed: UInt64 = 0x9e37_79b9_7f4a_7c15) { state = seed }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_f491_4f6c_dd1d
  }
}

/// Resident memory of the daemon (proc_pid_status(5)).
struct Memory {
  let kilobytes: Int

  init(of server: ApusProcess) throws {
    let text = try String(contentsOfFile: "/proc/\(server.process.pid)/status", encoding: .utf8)
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
      let value = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
    else { throw SupportError("no RssAnon: \(text)") }
    kilobytes = value
  }
}

/// Counters of `apus status --json` beside those of `StatusReport`.
struct KernelCounters {
  private struct Status: Decodable {
    struct Kernel: Decodable {
      var handshakes: Int
      var leftToKernel: Int
      var drops: [String: Int]
    }
    var kernel: Kernel
  }
  let handshakes: Int
  let leftToKernel: Int
  let drops: Int

  init(of server: ApusProcess) throws {
    let output = try server.control("status", "--json").orThrow().output
    let kernel = try JSONDecoder().decode(Status.self, from: Data(output.utf8)).kernel
    handshakes = kernel.handshakes
    leftToKernel = kernel.leftToKernel
    drops = kernel.drops.values.reduce(0, +)
  }
}
