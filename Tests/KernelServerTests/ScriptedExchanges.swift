import Conformance
import Contract
import KernelTestSupport
import Testing

extension KernelPart {
  /// The scripts that are played before the live program, before the simulated kernel and the program in the real one,
  /// which must agree to the last byte; up to the point where the kernel's own TCP takes over.
  @Suite struct ScriptedExchanges {
    @Test("an exchange", arguments: Exchange.all.filter { !$0.needsListener })
    func exchange(_ exchange: Exchange) throws {
      do {
        try Runner.play(exchange, in: try BenchWorld())
      } catch {
        exchange.record(error)
      }
    }
  }
}

/// One client of a bench.
private final class BenchWorld: World {
  private let bench: Bench
  let client: Endpoint
  let server = Bench.server
  let hasKernel = false
  /// Of loopback, over IPv4.
  let mssMax: UInt16 = 65_496
  private var objects: [String: StoredObject] = [:]
  private var outcome: Outcome?
  private var replies: [ReceivedSegment] = []

  init() throws {
    bench = try Bench()
    bench.ignoresMissEvents = true
    client = bench.newClient()
    for (path, size) in ServedFiles.sizes where size <= Limits.responseBytesMax / 2 {
      let object = StoredObject.page(path, body: ServedFiles.body(path))
      objects[path] = object
      bench.store(object)
    }
  }

  func send(_ packet: Packet) throws {
    let outcome = try bench.send(packet)
    if let reply = outcome.reply { replies.append(reply) }
    self.outcome = outcome
  }

  func receive(timeout_ms: Int) -> SegmentInTime? {
    replies.isEmpty ? nil : SegmentInTime(replies.removeFirst(), after_ms: 0)
  }

  /// No time passes.
  func pause(ms: Int) {}
  func isLeftToKernel() -> Bool { outcome?.verdict == Outcome.next }

  func replace(_ path: String) {
    var object = objects[path]!
    bench.remove(object)
    object.body = object.body.map { $0 ^ 0x20 }
    object.generation += 2
    bench.store(object)
  }

  func setListener(isAccepting: Bool) { preconditionFailure("the bench has no accept queue") }
}
