import BPF
import Testing

@testable import ApusServer
@testable import apus

/// What the doctor concludes from the facts.
@Suite struct DoctorTests {
  /// One that lacks nothing.
  private func able(_ change: (inout Machine) -> Void = { _ in }) -> Diagnosis {
    var machine = Machine()
    machine.release = "6.18.0"
    machine.architecture = "x86_64"
    machine.capabilities = [.bpf, .netAdmin, .perfmon]
    machine.hasTCX = true
    machine.hasRingBuffer = true
    machine.isCompiled = true
    machine.synCookies = 1
    machine.load = .loaded(
      KernelProbe.Figures(
        instructions: 10, verifiedInstructions: 20, stack_bytes: 30, loadDuration: .milliseconds(40)))
    change(&machine)
    return Diagnosis(machine)
  }

  private func remedies(_ diagnosis: Diagnosis, _ verdict: Finding.Verdict) -> [String] {
    diagnosis.findings.filter { $0.verdict == verdict }.map { "\($0.subject) -> \($0.remedy ?? "")" }
  }

  @Test func `where nothing is missing kernel mode is possible, and the firewall is spoken of`() {
    let diagnosis = able()
    #expect(diagnosis.isKernelModePossible)
    #expect(remedies(diagnosis, .missing).isEmpty && remedies(diagnosis, .warning).isEmpty)
    #expect(remedies(diagnosis, .note).count == 1)
    #expect(remedies(diagnosis, .note)[0].contains("INPUT"))
    #expect(diagnosis.findings.contains { $0.subject.contains("6.18.0") })
    #expect(diagnosis.findings.contains { $0.subject.contains("40 ms") })
  }

  private static let capabilities: [(Capabilities, [String])] = [
    ([], ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]),
    ([.netAdmin], ["CAP_BPF", "CAP_PERFMON"]),
    ([.sysAdmin], ["CAP_NET_ADMIN"]),
    ([.bpf, .perfmon], ["CAP_NET_ADMIN"]),
    ([.sysAdmin, .netAdmin], []),
    ([.bpf, .netAdmin, .perfmon], []),
  ]

  @Test(arguments: capabilities)
  func `capabilities that are missing are named`(capabilities: Capabilities, missing: [String]) {
    #expect(capabilities.missingForKernelMode == missing)
    let diagnosis = able { $0.capabilities = capabilities }
    #expect(diagnosis.isKernelModePossible == missing.isEmpty)
    for name in missing { #expect(remedies(diagnosis, .missing)[0].contains(name)) }
  }

  @Test func `capabilities are read from the process's status`() {
    let text =
      "Name:\tapus\nCapInh:\t0000000000000000\nCapPrm:\tffffffffffffffff\nCapEff:\t000000c000001000\nCapBnd:\t0\n"
    #expect(Capabilities(processStatus: text) == [.bpf, .netAdmin, .perfmon])
    #expect(Capabilities(processStatus: "CapEff:\tzz\n") == nil)
    #expect(Capabilities(processStatus: "") == nil)
  }

  @Test func `without privilege it is the privileges, and nothing is claimed about the kernel`() {
    let denied = BPFError.missingPrivilege(operation: "BPF_MAP_CREATE", hint: "run as root")
    let diagnosis = able { machine in
      machine.capabilities = []
      machine.mapError = denied
      machine.programError = denied
      machine.hasTCX = false
      machine.hasRingBuffer = false
      machine.load = nil
    }
    #expect(!diagnosis.isKernelModePossible)
    #expect(remedies(diagnosis, .missing).map { $0.prefix(4) } == ["priv", "bpf(", "bpf("])
    #expect(remedies(diagnosis, .warning).count == 3)
    #expect(remedies(diagnosis, .warning).allSatisfy { $0.contains("above") })
  }

  @Test func `a refusal in spite of all capabilities is somebody else's`() {
    let diagnosis = able { $0.mapError = .missingPrivilege(operation: "BPF_MAP_CREATE", hint: "run as root") }
    #expect(remedies(diagnosis, .missing).count == 1)
    #expect(remedies(diagnosis, .missing)[0].contains("seccomp"))
  }

  @Test func `each thing that is missing makes kernel mode impossible, and comes with a way to get it`() {
    let changes: [(String, (inout Machine) -> Void)] = [
      ("CONFIG_BPF_SYSCALL", { $0.mapError = .missingFeature(name: "bpf", hint: "") }),
      ("CONFIG_NET_CLS_BPF", { $0.programError = .systemCall(name: "BPF_PROG_LOAD", errno: 22) }),
      ("CONFIG_DEBUG_INFO_BTF", { $0.typesError = .missingFeature(name: "types", hint: "") }),
      ("Linux 6.9", { $0.missingFunctions = ["bpf_sk_assign_tcp_reqsk"] }),
      ("Linux 6.9", { $0.missingFunctions = ["bpf_cast_to_kern_ctx"] }),
      ("Linux 5.8", { $0.hasRingBuffer = false }),
      ("net.core.bpf_jit_enable=1", { $0.isCompiled = false }),
      ("net.ipv4.tcp_syncookies=1", { $0.synCookies = 0 }),
      ("a Swift trap", { $0.load = .failed("refused", hint: "a Swift trap") }),
    ]
    for (remedy, change) in changes {
      let diagnosis = able(change)
      #expect(!diagnosis.isKernelModePossible, "\(remedy)")
      #expect(remedies(diagnosis, .missing).count == 1, "\(remedy)")
      #expect(remedies(diagnosis, .missing).first?.contains(remedy) == true)
    }
  }

  @Test func `what can be done without, or is not known, is a warning`() {
    let changes: [(inout Machine) -> Void] = [
      { $0.hasTCX = false }, { $0.isCompiled = nil }, { $0.synCookies = nil }, { $0.capabilities = nil },
    ]
    for change in changes {
      #expect(able(change).isKernelModePossible)
      #expect(remedies(able(change), .warning).count == 1)
    }
  }

  @Test func `a finding is a verdict, what it is about, and below the way out`() {
    let finding = Finding(verdict: .missing, subject: "one\ntwo", remedy: "do this")
    #expect(finding.text == "missing  one\n         two\n         -> do this")
    #expect(Finding.ok("x").text == "ok       x")
  }

  @Test func `the figures of the program are in a column`() {
    let figures = KernelProbe.Figures(
      instructions: 1083, verifiedInstructions: 11_102, stack_bytes: 200, loadDuration: .microseconds(12_345))
    let values = FiguresText(figures).lines.map { $0.dropFirst(24) }
    #expect(
      values == ["1083", "11102 of 1000000", "200 bytes on the deepest path, of 512", "12 ms"])
  }
}
