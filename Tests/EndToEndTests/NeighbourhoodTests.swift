import BPF
import BPFTestProgramObject
import Glibc
import TestSupport
import Testing

/// A program of others on a device, as long as this object lives.
private final class OtherProgram {
  private let link: Link
  private var loaded: LoadedObject

  /// - Parameters:
  ///   - verdict: what it returns for every packet: TCX_NEXT (-1), TC_ACT_OK (0), TC_ACT_SHOT (2).
  ///   - isFilter: a filter of the clsact discipline, not a program at the tcx hook.
  init(verdict: Int32, on device: String, of namespace: NetworkNamespace, isFilter: Bool = false) throws {
    var options = LoadOptions()
    options.setConstant("verdictConstant", to: verdict)
    loaded = try LoadedObject(try ObjectFile(BPFTestProgramImage.bytes), options: options)
    let program = try loaded.program("verdict")
    let box = try namespace.withThread {
      let index = if_nametoindex(device)
      return Box(
        isFilter
          ? try program.attachClsact(interfaceIndex: index, name: "other")
          : try program.attachTCX(interfaceIndex: index))
    }
    link = box.take()
  }

  /// Carries a link, which cannot be copied, out of the thread.
  private final class Box {
    private var link: Link?
    init(_ link: consuming Link) { self.link = consume link }
    func take() -> Link { link.take()! }
  }
}

extension EndToEnd {
  /// Others that see the same packets on the same host.
  @Suite(.kernelMode) struct Neighbours {
    private static let next: Int32 = -1
    private static let accept: Int32 = 0
    private static let drop: Int32 = 2

    /// A request for an object that is stored, and whether the kernel part answered.
    private func isHit(_ bench: Bench, _ location: SourceLocation = #_sourceLocation) throws -> Bool {
      let before = try bench.apus.status().hits
      expectFile(try RawClient(bench.network, timeout_s: 3).get(Site.small), Site.small, sourceLocation: location)
      return try bench.apus.status().hits == before + 1
    }

    /// What the kernel part does not answer does not get through.
    private func expectMissesStopped(_ bench: Bench, _ location: SourceLocation = #_sourceLocation) throws {
      #expect(throws: (any Error).self, sourceLocation: location) {
        try RawClient(bench.network, timeout_s: 1).get("/small.html?query")
      }
    }

    @Test func `a program that comes before sees packets first: what it passes on is answered, no more`() throws {
      try TestNetwork.withVeth { network in
        let other = try OtherProgram(verdict: Self.next, on: "eth0", of: network.server)
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          let isHit = try isHit(bench)
          #expect(isHit)
          #expect(bench.apus.process.standardError.contains("eth0: tcx programs see packets before"))
        }
        withExtendedLifetime(other) {}
      }
      try TestNetwork.withVeth { network in
        // It lets packets in, past all programs behind it: Apus is there, and never asked.
        let other = try OtherProgram(verdict: Self.accept, on: "eth0", of: network.server)
        try Bench.kernel(on: network) { bench in
          pause(seconds: 1)
          for _ in 0..<3 {
            let isHit = try isHit(bench)
            #expect(!isHit)
          }
        }
        withExtendedLifetime(other) {}
      }
    }

    @Test(arguments: [false, true])
    func `a program that comes after sees what is not answered`(isFilter: Bool) throws {
      try TestNetwork.withVeth { network in
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          let passing = try OtherProgram(verdict: Self.next, on: "eth0", of: network.server, isFilter: isFilter)
          #expect(try isHit(bench))
          #expect(try RawClient(network).get("/small.html?query").status == 200)
          withExtendedLifetime(passing) {}
          let dropping = try OtherProgram(verdict: Self.drop, on: "eth0", of: network.server, isFilter: isFilter)
          #expect(try isHit(bench))
          try expectMissesStopped(bench)
          withExtendedLifetime(dropping) {}
        }
      }
    }

    /// What doctor and the daemon say of rules.
    private func warnings(_ bench: Bench) throws -> [String] {
      let doctor = try bench.network.server.run(
        [ApusProcess.binary, "doctor", "--listen", "\(bench.network.serverAddress):80"])
      return [doctor.output, bench.apus.process.standardError]
    }

    private static let refusals = [
      "add rule inet guard input tcp dport 80 drop", "add rule inet guard input tcp dport 70-90 reject",
      "add rule inet guard input tcp dport { 22, 80 } counter drop",
    ]

    @Test(arguments: refusals)
    func `INPUT rules stop hand-overs, not hits, and are told of`(rule: String) throws {
      try TestNetwork.withVeth { network in
        // The object must be learned before: the rule stops that, too.
        try network.server.run(
          ["nft", "add table inet guard; add chain inet guard input { type filter hook input priority 0; }"]
        ).orThrow()
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          #expect(try !warnings(bench).contains { $0.contains("guard") })
          try network.server.run(["nft", rule]).orThrow()
          #expect(try isHit(bench))
          try expectMissesStopped(bench)
          let text = "nftables chain inet guard input refuses packets to port 80: that stops hand-overs, not hits"
          #expect(try warnings(bench)[0].contains(text))
        }
      }
    }

    @Test func `a stateful firewall lets hits and hand-overs in`() throws {
      try TestNetwork.withVeth { network in
        let rules = """
          add table inet guard
          add chain inet guard input { type filter hook input priority 0; policy drop; }
          add rule inet guard input iifname lo accept
          add rule inet guard input ct state established,related accept
          add rule inet guard input ct state invalid drop
          add rule inet guard input tcp dport 80 ct state new accept
          """
        try network.server.run(["nft", rules]).orThrow()
        try Bench.kernel(on: network, warm: [Site.small]) { bench in
          #expect(try isHit(bench))
          let client = try bench.connect()
          expectFile(try client.get(Site.small), Site.small)
          expectFile(try client.get(Site.large), Site.large)
          expectFile(try client.get(Site.small), Site.small)
          for text in try warnings(bench) {
            #expect(text.contains("nftables chain inet guard input drops what it does not accept"))
          }
        }
      }
    }

    private static let redirections = [
      "add rule ip nat prerouting tcp dport 80 redirect to :8081",
      "add rule ip nat prerouting ip daddr 10.77.0.1 tcp dport 80 dnat to 10.77.0.1:8081",
    ]

    @Test(arguments: redirections)
    func `rules that send packets elsewhere are told of`(rule: String) throws {
      try TestNetwork.withVeth { network in
        try network.server.run(
          ["nft", "add table ip nat; add chain ip nat prerouting { type nat hook prerouting priority -100; }; \(rule)"]
        ).orThrow()
        try Bench.kernel(on: network) { bench in
          for text in try warnings(bench) {
            #expect(text.contains("nftables chain ip nat prerouting redirects packets to port 80"))
          }
          let other = try network.server.run([ApusProcess.binary, "doctor", "--listen", "10.77.0.1:8080"]).output
          #expect(!other.contains("redirects"))
        }
      }
    }
  }
}
