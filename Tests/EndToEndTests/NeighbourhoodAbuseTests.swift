import TestSupport
import Testing

extension EndToEnd {
  /// Clients that mean ill, or are very slow. Floods are in `apus-faults`.
  @Suite(.kernelMode) struct SlowReaders {
    private static let requests = 40

    @Test(arguments: [4096, 16_384] as [Int32])
    func `clients that do not read go to the user half, nothing is lost, others are served`(
      receiveBuffer_bytes: Int32
    ) throws {
      try Bench.kernel(warm: [Site.small]) { bench in
        let before = try bench.apus.status()
        let slow = try (0..<50).map { _ in
          try RawClient(
            from: bench.network.client, to: bench.network.serverAddress, port: bench.port,
            receiveBuffer_bytes: receiveBuffer_bytes)
        }
        // Requests one after the other, each in a segment of its own; no answer is read.
        for _ in 0..<Self.requests {
          for client in slow { try client.send("GET \(Site.small) HTTP/1.1\r\nHost: apus.test\r\n\r\n") }
          pause(seconds: 0.005)
        }
        let middle = try bench.apus.status { $0.handovers - before.handovers >= slow.count }
        #expect(middle.handovers - before.handovers >= slow.count, "\(middle.changes(since: before))")

        let good = try bench.connect()
        let hits = try bench.apus.status().hits
        for _ in 0..<100 { expectFile(try good.get(Site.small), Site.small) }
        #expect(try bench.apus.status().hits == hits + 100)

        for client in slow {
          for _ in 0..<Self.requests { expectFile(try client.readResponse(), Site.small) }
        }
      }
    }
  }
}
