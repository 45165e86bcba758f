import Contract
import Foundation
import HTTPHead
import Measuring
import TestSupport

/// What single steps cost: of the program, of the parser on the host, of the daemon.
struct MicroWorkload: Workload {
  let id = "micro"
  let title = "What single steps cost"
  let needs = [Clients.wrk.need, Clients.ab.need]

  private static let size = 1024

  func count(_ settings: Bench.Settings) -> Int { 4 }

  func run(_ bench: Bench) throws {
    let apus = bench.settings.apus
    try step("program", bench) { try programTimes(bench, samples: bench.settings.isQuick ? 500 : 5000) }
    try step("statistics", bench) { try underLoad(bench) }
    try step("parser", bench) { Self.parser() }
    try step("composition", bench) { [try Composition(apus: apus).measure()] }
  }

  private func step(_ name: String, _ bench: Bench, _ body: () throws -> [MicroFigure]) throws {
    do {
      for figure in try body() { bench.add(figure) }
      bench.progress.advance("\(id), \(name)")
    } catch let error as SupportError {
      bench.progress.skip(1)
      bench.refuse("\(id), \(name): \(error)")
    }
  }

  /// BPF_PROG_TEST_RUN.
  private func programTimes(_ bench: Bench, samples: Int) throws -> [MicroFigure] {
    try TestNetwork.withLoopback { network in
      let apus = try ApusProcess(in: network, root: bench.site.root, binary: bench.settings.apus)
      try apus.warm([Site.target(Self.size)], over: network)
      let program = try LoadedProgram(heldBy: apus.process.pid)
      return try network.server.withThread {
        var times = ProgramTimes(program, port: 80, samples: samples)
        return try times.measure()
      }
    }
  }

  /// What the kernel counts while clients ask: of a packet, and of all packets a request takes. What a request costs
  /// beyond that is the network's: interrupts, queues, the packet's memory.
  private func underLoad(_ bench: Bench) throws -> [MicroFigure] {
    let cases: [(what: String, size: Int, client: any Client, keepsAlive: Bool)] = [
      ("1 KB, connections kept", Self.size, Clients.wrk, true),
      ("1 KB, a connection each", Self.size, Clients.ab, false),
      ("14000 B, connections kept", 14_000, Clients.wrk, true),
    ]
    var figures: [MicroFigure] = []
    try bench.withServers([ApusPeer(form: .kernel)], sizes: Set(cases.map(\.size)).sorted()) { servers in
      guard let server = servers.first, let holder = server.started.kernelPartHolder else { return }
      let program = try LoadedProgram(heldBy: holder)
      let statistics = try LoadedProgram.enableStatistics()
      defer { withExtendedLifetime(statistics) {} }
      for (what, size, client, keepsAlive) in cases {
        var ofPacket: [Double] = []
        var ofRequest: [Double] = []
        for _ in 0..<bench.settings.repetitions {
          let before = try program.statistics()
          let run = try bench.run(
            .init(
              server, client, size: size, keepsAlive: keepsAlive, settings: bench.settings, duration_s: 1), of: server)
          let after = try program.statistics()
          ofPacket.append((after.runTime_ns - before.runTime_ns) / max(1, after.runs - before.runs))
          ofRequest.append((after.runTime_ns - before.runTime_ns) / Double(run.client.requests))
        }
        figures.append(MicroFigure("program under load: a packet, \(what) (kernel's statistics)", unit: "ns", ofPacket))
        figures.append(MicroFigure("program under load: all packets of a request, \(what)", unit: "ns", ofRequest))
      }
    }
    guard !figures.isEmpty else { throw SupportError("the kernel part did not start") }
    return figures
  }

  /// The parser the kernel part has, compiled for the host.
  private static func parser() -> [MicroFigure] {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: HeadBuffer.byteCount, alignment: 8)
    defer { memory.deallocate() }
    return [120, 900].map { size in
      let head = ProgramTimes.head(size, "/file-1024.html")
      let times = (0..<21).map { _ in parserTime_ns(head, HeadBuffer(memory)) }
      return MicroFigure("parser on the host: a head of \(size) bytes", unit: "ns", times)
    }
  }

  /// Of one head, averaged over many.
  private static func parserTime_ns(_ head: [UInt8], _ buffer: HeadBuffer) -> Double {
    let rounds = 10_000
    var refused = 0
    buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: HeadBuffer.byteCount)
    head.withUnsafeBytes { buffer.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    buffer.length = head.count
    let start_s = monotonicSeconds()
    for round in 0..<rounds where buffer.parse(hashSeed: UInt64(round)) != nil { refused += 1 }
    let time_ns = (monotonicSeconds() - start_s) * 1e9 / Double(rounds)
    precondition(refused == 0, "the parser refuses the head that is to be timed")
    return time_ns
  }
}

/// What the daemon spends on an object it has never heard of: it answers the first request for it, reads the file,
/// composes the answers and stores them.
struct Composition {
  var apus: String
  private static let files = 2000
  /// Files younger than this are not stored.
  private static let quiet_s = 1.0

  func measure() throws -> MicroFigure {
    let directory = try ScratchDirectory("composition")
    for number in 0..<Self.files { try directory.write(Site.body(1000 + number % 48), to: "f\(number).html") }
    pause(seconds: Self.quiet_s)
    return try TestNetwork.withLoopback { network in
      let apus = try ApusProcess(in: network, root: directory.path, binary: apus)
      let start = try ProcessTime(of: apus.process.pid)
      for number in 0..<Self.files {
        let target = "/f\(number).html"
        guard try RawClient(network).get(target).status == 200 else { throw SupportError("no answer for \(target)") }
      }
      let report = try apus.status(timeout_s: 10) { $0.cache.objects >= Self.files }
      guard report.cache.objects >= Self.files else {
        throw SupportError("\(report.cache.objects) of \(Self.files) objects are stored")
      }
      let cpu_s = try ProcessTime(of: apus.process.pid).cpu_s - start.cpu_s
      return MicroFigure(
        "daemon: an object asked for the first time, answered, composed and stored", unit: "us",
        [cpu_s * 1e6 / Double(Self.files)])
    }
  }
}
