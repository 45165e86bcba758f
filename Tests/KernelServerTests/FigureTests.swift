import BPF
import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// The program's figures. They are printed; what is asserted leaves room for other machines.
  @Suite struct Figures {
    @Test("the verifier takes the program with room to spare", .enabled(if: KernelMachine.obstacle == nil))
    func verified() throws {
      let statistics = try KernelMachine.shared().program.statistics
      let verified = try #require(statistics.processedInstructions)
      let stack_bytes = try #require(statistics.stackDepth_bytes)
      print(
        "kernel part: \(statistics.instructions) instructions, \(verified) verified, stack \(stack_bytes) bytes, "
          + "loaded in \(statistics.loadDuration)")
      #expect(verified < 1_000_000)
      #expect(stack_bytes <= 512)
    }

    @Test("a hit costs microseconds", .enabled(if: KernelMachine.obstacle == nil))
    func runTime() throws {
      let program = try KernelMachine.shared().program
      let bench = try Bench()
      for (name, body) in [("16 bytes", 16), ("1200 bytes", 1200)] {
        let object = StoredObject.page("/\(body)", body: [UInt8](repeating: 0x61, count: body))
        bench.store(object)
        let cost_ns = try averageOfHits(program, bench, object.response(0), get("/\(body)"))
        print("kernel part: \(cost_ns) ns for a hit with a body of \(name), request checksum verified")
        #expect(cost_ns < 100_000)
      }
    }

    @Test("what browsers send costs little more", .enabled(if: KernelMachine.obstacle == nil))
    func browsers() throws {
      let program = try KernelMachine.shared().program
      let bench = try Bench()
      let body = [UInt8](repeating: 0x61, count: 1000)
      var script = StoredObject.page("/static/app.js", body: body)
      let brotli = StoredObject.page("/static/app.js", body: Array(body.prefix(300)))
      script.sideCars = [.brotli: brotli, .gzip: brotli]
      let style = StoredObject.page("/style.css", body: body)
      bench.store(script)
      bench.store(style)
      for (name, head, response) in [
        ("Chrome, one coding of three", BrowserHeads.chrome, brotli.response(0)),
        ("Firefox, no choice", BrowserHeads.firefox, style.response(0)),
        ("Firefox, a reload with 304", BrowserHeads.reload, style.notModified(0)),
      ] {
        let cost_ns = try averageOfHits(program, bench, response, head)
        print("kernel part: \(cost_ns) ns for a head of \(head.count) bytes (\(name)), request checksum verified")
        #expect(cost_ns < 100_000)
      }
    }

    @Test("the question for the way back costs a handshake little", .enabled(if: KernelMachine.obstacle == nil))
    func handshakeTime() throws {
      let program = try KernelMachine.shared().program
      let bench = try Bench()
      try bench.route(0, length: 0, by: 1)
      for routes: UInt32 in [0, 1, 5, 200] {
        let name = routes == 0 ? "unchecked" : "checked among \(routes) routes"
        for prefix in 1..<max(routes, 1) { try bench.route(0x0a00_0000 | prefix << 8, length: 24, by: 2) }
        try bench.listen(flags: Listener.ownAddress | (routes == 0 ? 0 : Listener.checksRoute))
        let cost_ns = try averageOfRuns(program) {
          let client = Client(bench)
          try bench.send(
            client.segment(.syn, acknowledgement: 0, options: TCPOptionBytes.linux(1460)),
            .synAck(segmentSize: 1460, acknowledging: client.next &+ 1))
        }
        print("kernel part: \(cost_ns) ns for a SYN, its way back \(name)")
        #expect(cost_ns < 100_000)
      }
    }

    private func averageOfHits(_ program: Program, _ bench: Bench, _ response: [UInt8], _ request: [UInt8]) throws
      -> UInt64
    {
      var client = Client(bench)
      try client.connect()
      // Once, so that all is warm.
      try client.get(request, response)
      return try averageOfRuns(program) { try client.get(request, response) }
    }

    /// Nanoseconds of one run, of which `body` makes one: the least of five averages, for other work disturbs.
    private func averageOfRuns(_ program: Program, _ body: () throws -> Void) throws -> UInt64 {
      try body()
      let running = try RunTimeStatistics()
      var least = UInt64.max
      for _ in 0..<5 {
        let before = try program.runStatistics()
        for _ in 0..<100 { try body() }
        let after = try program.runStatistics()
        #expect(after.runCount - before.runCount == 100)
        least = min(least, (after.runTime_ns - before.runTime_ns) / 100)
      }
      _ = consume running
      return least
    }
  }
}
