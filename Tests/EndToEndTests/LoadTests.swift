import TestSupport
import Testing

extension EndToEnd {
  /// Every request of a load generator is answered and counted.
  @Suite(.kernelMode) struct Load {
    @Test func `wrk over veth: no failure, and every request is a counted hit`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let connections = 16
        let result = try bench.network.client.wrk(
          bench.origin() + Site.small, connections: connections, duration_s: 2)
        #expect(result.failures == 0, "\(result.output)")
        #expect(result.requests > 1000)
        let after = try bench.apus.status()
        let hits = after.hits - before.hits
        // What was under way when wrk stopped was answered and is not in its count.
        #expect((result.requests...result.requests + connections).contains(hits))
        #expect(after.handovers == before.handovers)
      }
    }

    @Test func `ab, a connection per request: every request is a counted hit`() throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        for keepAlive in [false, true] {
          let result = try bench.network.client.ab(
            bench.origin() + Site.small, requests: 2000, concurrency: 8, keepAlive: keepAlive)
          #expect(result.failures == 0, "\(result.output)")
          #expect(result.requests == 2000)
        }
        let after = try bench.apus.status()
        #expect(after.hits == before.hits + 4000)
        #expect(after.handovers == before.handovers)
      }
    }

    @Test(arguments: [false, true])
    func `what is handed over is answered under load`(backend: Bool) throws {
      try Bench.kernel(backend: backend, warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let logged = backend ? try bench.clientLog().count : 0
        let result = try bench.network.client.ab(
          bench.origin() + Site.small + "?query", requests: 1000, concurrency: 8)
        #expect(result.failures == 0, "\(result.output)")
        #expect(result.requests == 1000)
        let after = try bench.apus.status()
        #expect(after.handovers == before.handovers + 1000, "\(after.changes(since: before))")
        #expect(after.hits == before.hits)
        if backend { #expect(try bench.clientLog().count == logged + 1000) }
      }
    }

    @Test(arguments: [false, true])
    func `with 2% loss both ways 2000 requests are all answered`(keepAlive: Bool) throws {
      try TestNetwork.withLoss(percent: 2) { network in
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          let before = try bench.apus.status()
          let result = try network.client.ab(
            bench.origin() + Site.small, requests: 2000, concurrency: 40, keepAlive: keepAlive, duration_s: 90)
          #expect(result.failures == 0, "\(result.output)")
          #expect(result.requests == 2000)
          let hits = try bench.apus.status().hits - before.hits
          #expect(hits >= 1990, "answered by the kernel part, not by a server behind")
          #expect(try network.lostPackets() > 50)
        }
      }
    }
  }
}
