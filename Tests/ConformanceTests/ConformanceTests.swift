import Conformance
import Foundation
import KernelTestSupport
import TestSupport
import Testing

/// Every script against the live program: `apus serve` in kernel mode, packets over veth, all scripts at once.
@Suite(.kernelMode, .testbeds(.ipv4)) struct ConformanceTests {
  @Test("an exchange", arguments: Exchange.all.filter { !$0.needsListener && $0.isFor(.ipv4) })
  func exchange(_ exchange: Exchange) async throws {
    let testbeds = try #require(Testbeds.current)
    await Player.play(exchange, in: testbeds.builtIn.newWorld())
  }

  /// One after the other: they share the listener behind, whose queue is full when a script begins.
  @Test("an exchange with a listener behind that does not accept")
  func slowListener() async throws {
    let testbed = try #require(Testbeds.current?.slowListener)
    for exchange in Exchange.all where exchange.needsListener {
      await Player.play(exchange, in: testbed.newWorld())
    }
  }
}

/// The same over IPv6.
@Suite(.kernelMode, .testbeds(.ipv6)) struct IPv6ConformanceTests {
  @Test("an exchange over IPv6", arguments: Exchange.all.filter { !$0.needsListener && $0.isFor(.ipv6) })
  func exchange(_ exchange: Exchange) async throws {
    let testbeds = try #require(Testbeds.current)
    await Player.play(exchange, in: testbeds.builtIn.newWorld())
  }

  @Test("an exchange over IPv6 with a listener behind that does not accept")
  func slowListener() async throws {
    let testbed = try #require(Testbeds.current?.slowListener)
    for exchange in Exchange.all where exchange.needsListener {
      await Player.play(exchange, in: testbed.newWorld())
    }
  }
}

/// The same over a device that carries datagrams without a link-layer header.
@Suite(.kernelMode) enum TunnelConformanceTests {
  @Suite(.testbeds(.ipv4, overTunnel: true)) struct OverIPv4 {
    @Test("an exchange over tun", arguments: Exchange.all.filter { !$0.needsListener && $0.isFor(.ipv4) })
    func exchange(_ exchange: Exchange) async throws {
      let testbeds = try #require(Testbeds.current)
      await Player.play(exchange, in: testbeds.builtIn.newWorld())
    }
  }

  @Suite(.testbeds(.ipv6, overTunnel: true)) struct OverIPv6 {
    @Test("an exchange over tun and IPv6", arguments: Exchange.all.filter { !$0.needsListener && $0.isFor(.ipv6) })
    func exchange(_ exchange: Exchange) async throws {
      let testbeds = try #require(Testbeds.current)
      await Player.play(exchange, in: testbeds.builtIn.newWorld())
    }
  }
}

enum Player {
  /// How many scripts are played at a time. More, and a thread may wait for its turn so long that the kernel's timers
  /// run out.
  private static let slots = DispatchSemaphore(value: 24)

  /// Scripts wait, so each has a thread of its own, which stays on its CPU: packets on veth and tun are received on the
  /// CPU that sends them, as a network card steers those of a connection to one, and the program remembers by CPU which
  /// SYNs have come before.
  static func play(_ exchange: Exchange, in world: LiveWorld) async {
    if let mismatch = await mismatch(of: exchange, in: world) { exchange.record(mismatch) }
  }

  /// What went wrong.
  static func mismatch(of exchange: Exchange, in world: LiveWorld) async -> (any Error)? {
    nonisolated(unsafe) let world = world
    return await withCheckedContinuation { continuation in
      Thread {
        Self.slots.wait()
        defer { Self.slots.signal() }
        do {
          try OneCPU.run(number: Int(world.client.port)) { try Runner.play(exchange, in: world) }
          continuation.resume(returning: nil)
        } catch {
          continuation.resume(returning: error)
        }
      }.start()
    }
  }
}

/// The test beds of a suite, for its time.
struct Testbeds: Sendable {
  let builtIn: Testbed
  /// None over a tunnel.
  let slowListener: Testbed?

  @TaskLocal static var current: Testbeds?
}

struct TestbedsTrait: SuiteTrait, TestScoping {
  let family: Family
  let overTunnel: Bool

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let testbeds = Testbeds(
      builtIn: try Testbed.start(.builtInServer, family, overTunnel: overTunnel),
      slowListener: overTunnel ? nil : try Testbed.start(.plainListener, family))
    defer {
      testbeds.builtIn.stop()
      testbeds.slowListener?.stop()
    }
    try await Testbeds.$current.withValue(testbeds, operation: function)
  }
}

extension Trait where Self == TestbedsTrait {
  /// Starts the servers before the suite's first test and ends them after its last.
  static func testbeds(_ family: Family, overTunnel: Bool = false) -> Self {
    Self(family: family, overTunnel: overTunnel)
  }
}
