import Conformance
import Contract
import KernelSockets
import KernelTestSupport
import Testing

extension KernelPart {
  /// The scripts that are played before the live program, before the simulated kernel and the program in the real one,
  /// which must agree to the last byte; up to the point where the kernel's own TCP takes over.
  @Suite struct ScriptedExchanges {
    @Test("the scripts")
    func scripts() throws {
      let site = try BenchSite()
      for exchange in Exchange.all where !exchange.needsListener && exchange.isFor(Family.current) {
        do {
          try Runner.play(exchange, in: BenchWorld(site))
        } catch {
          exchange.record(error)
        }
      }
    }
  }
}

/// A bench with the files of all scripts.
private final class BenchSite {
  let bench: Bench
  private var objects: [String: StoredObject] = [:]

  init() throws {
    bench = try Bench()
    bench.ignoresMissEvents = true
    bench.control.handshakeOptions =
      HandshakeOptions.cookies | HandshakeOptions.timestamps | HandshakeOptions.sack | HandshakeOptions.windowScale
    for (path, size) in ServedFiles.sizes where size + 1000 <= Limits.responseBytesMax {
      let object = StoredObject.page(path, body: ServedFiles.body(path))
      objects[path] = object
      bench.store(object)
    }
  }

  func replace(_ path: String) {
    guard var object = objects[path] else { preconditionFailure("\(path) is not stored") }
    bench.remove(object)
    object.body = object.body.map { $0 ^ 0x20 }
    object.generation += 2
    bench.store(object)
  }
}

/// One client of a bench.
private final class BenchWorld: World {
  private let site: BenchSite
  let client: Endpoint
  let server = Bench.server
  let hasKernel = false
  /// Of loopback.
  let mssMax = Family.segmentSizeMax
  private var outcome: Outcome?
  private var replies: [ReceivedSegment] = []

  init(_ site: BenchSite) {
    self.site = site
    client = site.bench.newClient()
  }

  func send(_ packet: Packet) throws {
    let outcome = try site.bench.send(packet)
    replies += outcome.sent
    if let reply = outcome.reply { replies.append(reply) }
    self.outcome = outcome
  }

  func receive(timeout_ms: Int) -> SegmentInTime? {
    replies.isEmpty ? nil : SegmentInTime(replies.removeFirst(), after_ms: 0)
  }

  /// No time passes.
  func pause(ms: Int) {}
  func isLeftToKernel() -> Bool { outcome?.verdict == Outcome.next }

  func replace(_ path: String) { site.replace(path) }

  func setListener(isAccepting: Bool) { preconditionFailure("the bench has no accept queue") }
}
