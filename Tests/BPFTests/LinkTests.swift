import Foundation
import Testing

@testable import BPF

@Suite("Links", KernelTesting.trait) struct LinkTests {
  static let ingress = ClsactFilter.Place(interfaceIndex: 1, direction: .ingress)

  @Test("A link sees packets until it goes, by tcx or, before Linux 6.6, by clsact")
  func tcx() throws {
    try withNetworkNamespace { network in
      var loaded = try LoadedObject.testPrograms()
      let program = try loaded.program("counts")
      let counters = try loaded.perCPUArray("countersMap", of: MapTests.Counters.self)
      func packets() throws -> UInt32 { try counters.lookup(0).reduce(0) { $0 + $1.packets } }
      do {
        let link = try program.attachTCX(interfaceIndex: 1)
        #expect(link.mechanism == (Features.hasTCX() ? .tcx : .clsact))
        network.sendPackets(10)
        #expect(try packets() == 10)
        _ = consume link
      }
      network.sendPackets(10)
      #expect(try packets() == 10)
    }
  }

  @Test("Runs and their time are counted while the statistics are on")
  func runTime() throws {
    try withNetworkNamespace { network in
      var loaded = try LoadedObject.testPrograms()
      let program = try loaded.program("counts")
      let link = try program.attachTCX(interfaceIndex: 1)
      let statistics = try RunTimeStatistics()
      network.sendPackets(20)
      let counted = try program.runStatistics()
      #expect(counted.runCount == 20)
      #expect(counted.runTime_ns > 0)
      withExtendedLifetime(statistics) {}
      link.detach()
    }
  }

  @Test("Egress is another hook than ingress")
  func egress() throws {
    try withNetworkNamespace { network in
      var loaded = try LoadedObject.testPrograms()
      let counters = try loaded.perCPUArray("countersMap", of: MapTests.Counters.self)
      let program = try loaded.program("counts")
      let ingress = try program.attachTCX(interfaceIndex: 1)
      let egress = try program.attachTCX(interfaceIndex: 1, direction: .egress)
      network.sendPackets(3)
      #expect(try counters.lookup(0).reduce(0) { $0 + $1.packets } == 6)
      ingress.detach()
      network.sendPackets(3)
      #expect(try counters.lookup(0).reduce(0) { $0 + $1.packets } == 9)
      egress.detach()
    }
  }

  @Test("A clsact filter sees packets until it goes, and its discipline goes with it")
  func clsact() throws {
    try withNetworkNamespace { network in
      var loaded = try LoadedObject.testPrograms()
      let counters = try loaded.perCPUArray("countersMap", of: MapTests.Counters.self)
      let program = try loaded.program("counts")
      let link = try program.attachClsact(interfaceIndex: 1, name: "first", priority: 7)
      #expect(link.mechanism == .clsact)
      #expect(try ClsactFilter.list(at: Self.ingress) == [.init(priority: 7, name: "first")])
      network.sendPackets(10)
      #expect(try counters.lookup(0).reduce(0) { $0 + $1.packets } == 10)
      link.detach()
      network.sendPackets(10)
      #expect(try counters.lookup(0).reduce(0) { $0 + $1.packets } == 10)
      // The discipline has gone as well: without it there is no list.
      #expect(try !network.hasClsact())
    }
  }

  @Test("A filter takes the next free priority, and leaves the filters and the discipline of others alone")
  func clsactNeighbours() throws {
    try withNetworkNamespace { network in
      var loaded = try LoadedObject.testPrograms()
      let program = try loaded.program("counts")
      let first = try program.attachClsact(interfaceIndex: 1, name: "first")
      let second = try program.attachClsact(interfaceIndex: 1, name: "second")
      let egress = try program.attachClsact(interfaceIndex: 1, direction: .egress, name: "third")
      #expect(
        try ClsactFilter.list(at: Self.ingress) == [
          .init(priority: 1, name: "first"), .init(priority: 2, name: "second"),
        ]
      )
      // The first one made the discipline, but others use it.
      first.detach()
      #expect(try ClsactFilter.list(at: Self.ingress) == [.init(priority: 2, name: "second")])
      #expect(try Link.removeClsactFilters(named: "none", interfaceIndex: 1) == 0)
      #expect(try Link.removeClsactFilters(named: "second", interfaceIndex: 1) == 1)
      #expect(try ClsactFilter.list(at: Self.ingress).isEmpty)
      #expect(try network.hasClsact())
      second.detach()
      egress.detach()
    }
  }

  @Test("A device that does not exist is an error, by either way")
  func noDevice() throws {
    try withNetworkNamespace { _ in
      var loaded = try LoadedObject.testPrograms()
      let program = try loaded.program("counts")
      let first = Features.hasTCX() ? "BPF_LINK_CREATE" : "RTM_NEWQDISC"
      #expect(throws: BPFError.systemCall(name: first, errno: ENODEV)) {
        _ = try program.attachTCX(interfaceIndex: 99)
      }
      #expect(throws: BPFError.systemCall(name: "RTM_NEWQDISC", errno: ENODEV)) {
        _ = try program.attachClsact(interfaceIndex: 99)
      }
    }
  }

  @Test("The probes of features answer")
  func features() throws {
    try Features.requireSystemCall()
    try Features.requireProgramLoading()
    #expect(Features.hasRingBuffer)
    #expect(Features.isCompiled != nil)
    // An attach type no kernel has is told from one it has.
    let unknown = Command.programQuery(ProgramQueryAttributes(interfaceIndex: 1, attachType: 9999))
    #expect(unknown == -Int(EINVAL))
  }
}
