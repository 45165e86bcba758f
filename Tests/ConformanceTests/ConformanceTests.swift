import Conformance
import Foundation
import TestSupport
import Testing

/// Every script against the live program: `apus serve` in kernel mode, packets over veth, all scripts at once.
@Suite(.kernelMode, .testbeds) struct ConformanceTests {
  @Test("an exchange", arguments: Exchange.all.filter { !$0.needsListener })
  func exchange(_ exchange: Exchange) async throws {
    let testbeds = try #require(Testbeds.current)
    await play(exchange, in: testbeds.builtIn.newWorld())
  }

  /// One after the other: they share the listener behind, whose queue is full when a script begins.
  @Test("an exchange with a listener behind that does not accept")
  func slowListener() async throws {
    let testbed = try #require(Testbeds.current).slowListener
    for exchange in Exchange.all where exchange.needsListener {
      await play(exchange, in: testbed.newWorld())
    }
  }

  /// How many scripts are played at a time. More, and a thread may wait for its turn so long that the kernel's timers
  /// run out.
  private static let slots = DispatchSemaphore(value: 24)

  /// Scripts wait, so each has a thread of its own.
  private func play(_ exchange: Exchange, in world: LiveWorld) async {
    nonisolated(unsafe) let world = world
    let mismatch: (any Error)? = await withCheckedContinuation { continuation in
      Thread {
        Self.slots.wait()
        defer { Self.slots.signal() }
        do {
          try Runner.play(exchange, in: world)
          continuation.resume(returning: nil)
        } catch {
          continuation.resume(returning: error)
        }
      }.start()
    }
    if let mismatch { exchange.record(mismatch) }
  }
}

/// Both test beds, for the time of a suite.
struct Testbeds: Sendable {
  let builtIn: Testbed
  let slowListener: Testbed

  @TaskLocal static var current: Testbeds?
}

struct TestbedsTrait: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let testbeds = Testbeds(builtIn: try Testbed.start(.builtInServer), slowListener: try Testbed.start(.plainListener))
    defer {
      testbeds.builtIn.stop()
      testbeds.slowListener.stop()
    }
    try await Testbeds.$current.withValue(testbeds, operation: function)
  }
}

extension Trait where Self == TestbedsTrait {
  /// Starts both servers before the suite's first test and ends them after its last.
  static var testbeds: Self { Self() }
}
