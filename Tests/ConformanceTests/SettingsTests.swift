import Conformance
import Foundation
import KernelTestSupport
import TestSupport
import Testing

/// What net.ipv4.tcp_sack and its like allow, while a program runs that answers handshakes in the kernel's place. The
/// settings are those of the server's network namespace, and count for IPv6, too.
@Suite(.kernelMode, .serialized) struct SettingsTests {
  /// A setting, and what is agreed on of all that Linux offers where it is 0.
  struct Setting: Sendable {
    let name: String
    let agreement: Offer

    static let all = [
      Setting(name: "tcp_sack", agreement: Offer(mss: 1460, timestamps: true, windowScale: 7)),
      Setting(name: "tcp_window_scaling", agreement: Offer(mss: 1460, sack: true, timestamps: true)),
      // Without timestamps there is no place to carry the others in.
      Setting(name: "tcp_timestamps", agreement: .mss(1460)),
    ]
  }

  /// The daemon looks once a second; the rest is for a busy machine.
  private static let noticed_s = 20.0
  private static let noticed_ms = 3000

  @Test(arguments: Family.allCases)
  func `options are offered as the settings allow, also when they change`(_ family: Family) async throws {
    let testbed = try Testbed.start(.builtInServer, family)
    defer { testbed.stop() }
    for setting in Setting.all {
      try await expectAgreement(.linux, in: testbed, "\(setting.name) as it was")
      await Player.play(Self.survives(setting.name, setTo: 0, agreed: .linux), in: testbed.newWorld())
      await Player.play(Self.handshake("\(setting.name) is 0", setting.agreement), in: testbed.newWorld())
      await Player.play(Self.survives(setting.name, setTo: 1, agreed: setting.agreement), in: testbed.newWorld())
      for (value, agreement) in [(0, setting.agreement), (1, .linux)] {
        try testbed.set(setting.name, to: value)
        try await expectAgreement(agreement, in: testbed, "\(setting.name) has become \(value)")
      }
    }
  }

  @Test(arguments: Family.allCases)
  func `without tcp_syncookies handshakes are the kernel's own, and hits go on`(_ family: Family) async throws {
    let testbed = try Testbed.start(.builtInServer, family)
    defer { testbed.stop() }
    let open = Exchange("a connection from before tcp_syncookies is 0", "RFC 4987 section 3.6") {
      client.connects(.linux)
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      host.sets("tcp_syncookies", to: 0)
      client.waits(ms: Self.noticed_ms)
      client.requests("/other")
      server.answers("/other")
    }
    await Player.play(open, in: testbed.newWorld())
    let before = try testbed.hits()
    let kernels = Exchange("a connection from when tcp_syncookies is 0", "RFC 9293 section 3.5") {
      client.offers(.linux)
      kernel.sends([.syn, .ack])
      client.acknowledges()
      client.requests("/small")
      kernel.serves("/small")
    }
    await Player.play(kernels, in: testbed.newWorld())
    #expect(try testbed.hits() == before, "the kernel part had nothing to do with it")
    try testbed.set("tcp_syncookies", to: 1)
    try await expectAgreement(.linux, in: testbed, "tcp_syncookies has become 1")
    #expect(try testbed.hits() > before)
  }

  /// What a new connection agrees on becomes this within about a second.
  private func expectAgreement(_ agreement: Offer, in testbed: Testbed, _ name: String) async throws {
    let exchange = Self.handshake(name, agreement)
    let start = Date()
    while let mismatch = await Player.mismatch(of: exchange, in: testbed.newWorld()) {
      guard Date().timeIntervalSince(start) < Self.noticed_s else { return exchange.record(mismatch) }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  /// A new connection, whose options hold for its hits and after it was handed over.
  private static func handshake(_ name: String, _ agreement: Offer) -> Exchange {
    Exchange("a new connection where \(name)", "RFC 7323 section 1.3") {
      client.offers(.linux)
      server.accepts(agreement)
      client.acknowledges()
      client.requests("/small")
      server.answers("/small")
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/large")
      kernel.serves("/large")
    }
  }

  /// A connection from before a change goes on with what it agreed on, and can be handed over after it.
  private static func survives(_ setting: String, setTo value: Int, agreed: Offer) -> Exchange {
    Exchange("a connection from before \(setting) is \(value)", "RFC 7323 section 1.3") {
      client.offers(.linux)
      server.accepts(agreed)
      client.acknowledges()
      client.requests("/small")
      server.answers("/small")
      client.acknowledges()
      host.sets(setting, to: value)
      client.waits(ms: noticed_ms)
      client.requests("/other")
      server.answers("/other")
      client.requests("/none?q")
      kernel.serves("/none?q", status: 404)
      client.requests("/large")
      kernel.serves("/large")
    }
  }
}
